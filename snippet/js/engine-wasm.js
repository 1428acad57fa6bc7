// Runs Rust as the WebAssembly that lies in this file. So small a module may be compiled at once, on the spot.
import { text } from "./wasm.js";

// The text keeps bytes apart, unlike base64, so that what is regular in the module still compresses: byte n is the
// character n + 36, and one above 90 stands behind a `#` (n - 91) or a `"` (n - 182). `xtask/src/snippet.rs` writes it.
const decode = () => {
  const bytes = [];
  let high = 0;
  for (const character of text) {
    const low = character.charCodeAt() - 36;
    if (low < 0) {
      high = low * -91;
    } else {
      bytes.push(low + high);
      high = 0;
    }
  }
  return new Uint8Array(bytes);
};

export const engine = (imports) => new WebAssembly.Instance(new WebAssembly.Module(decode()), imports).exports;
