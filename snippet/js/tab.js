// What Rust cannot do without before it runs: the tag, and the tab's storage.

// currentScript is null in a module and after any await: then the last tag of ours.
export const tag = document.currentScript || [...document.querySelectorAll("script[data-merchant]")].pop();

// The page may hold on to this object, so a second copy of the script and the fallback use the one that is there.
export const selgeo = (window.__selgeo ||= {});
selgeo.waiting ||= [];

try {
  selgeo.store ||= sessionStorage;
} catch {
  // Blocked. What is kept lives in memory then, on the object itself.
}
selgeo.store ||= selgeo;

export const print = (value) => {
  if (tag && "debug" in tag.dataset) console.log("selgeo", value);
};

// Another file of ours, from the same place as this one; the nonce is for pages that trust scripts by it.
export const load = (name) => {
  try {
    const script = document.createElement("script");
    Object.assign(script.dataset, tag.dataset);
    script.nonce = tag.nonce;
    script.src = new URL(name + ".js", tag.src);
    // Whoever waits for Rust waits no longer.
    if (TRAC) script.onerror = selgeo.start;
    document.head.append(script);
  } catch {
    // A tag without a source, for example: nothing is left to try.
  }
};
