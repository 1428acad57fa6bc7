import { createRoot } from "react-dom/client";
import { BrowserRouter } from "react-router";
import Shop from "./shop";

createRoot(document.getElementById("root")).render(
  <BrowserRouter basename="/vite-react">
    <Shop />
  </BrowserRouter>,
);
