import { createRoot } from "react-dom/client";
import { HashRouter } from "react-router";
import Shop from "./shop";

createRoot(document.getElementById("root")).render(
  <HashRouter>
    <Shop />
  </HashRouter>,
);
