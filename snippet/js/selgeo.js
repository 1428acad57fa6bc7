// The loader: answers getClickId whatever happens, and starts Rust. Everything else is in src/.
import { engine } from "engine";
import { imports } from "./imports.js";
import { callback } from "./page.js";
import { __wbg_set_wasm } from "./snippet_bg.js";
import { load, print, selgeo, tag } from "./tab.js";

selgeo.getClickId = () => selgeo.store.__selgeo_cid || null;
selgeo.version = VERSION;
// Until Rust takes them over, or where it never does.
selgeo.onClickId ||= (wanted) => selgeo.waiting.push(wanted);
selgeo.decorate ||= (given) => selgeo.mark?.(given) ?? given;
selgeo.consent ||= (given) => {
  selgeo.allowed = given;
};
if (TRAC) {
  selgeo.ready ||= new Promise((resolve) => (selgeo.start = resolve));
  window.Trac ||= {
    getClickId: selgeo.getClickId,
    injectStripe: () => selgeo.injectStripe?.(),
    trackLead: (lead) => selgeo.ready.then(() => selgeo.trackLead?.(lead)),
  };
}

// The level is 1 in the file with WebAssembly and 2 in the fallback, which goes on where the first was refused.
// A second copy of either finds the work done.
if (tag && (TRAC || tag.dataset.merchant) && !(selgeo.level >= LEVEL)) {
  if (!TRAC && tag.dataset.storage == "persistent") {
    // What lasts longer than the tab weighs more, and few want it.
    load("trac");
  } else {
    selgeo.level = LEVEL;
    if (TRAC) selgeo.trac = 1;
    try {
      __wbg_set_wasm(engine(imports));
      callback(0)();
    } catch (error) {
      print(error);
      // A Content-Security-Policy without 'wasm-unsafe-eval' refuses WebAssembly. Then the same Rust comes as JavaScript.
      if (LEVEL == 1) load((TRAC ? "trac" : "selgeo") + "-fallback");
    }
  }
} else if (TRAC && !selgeo.trac) {
  // No tag, or selgeo.js was here first: nobody will.
  selgeo.start();
}
