// Runs Rust as the JavaScript that it was translated to when this was built.
export { engine } from "./translated.js";
