// What Rust may ask of the page (src/page.rs): a line each, no decision. A value is known to Rust by its place in
// the list; the words come first, and what a step adds is gone when it ends.
import { run } from "./snippet_bg.js";
import { print, selgeo } from "./tab.js";
import { values } from "./words.js";

const place = (value) => values.push(value) - 1;

export const get = (of, name) => place(values[of][values[name]]);
export const set = (of, name, to) => {
  values[of][values[name]] = values[to];
};
export const call = (of, name, a, b, c) => place(values[of][values[name]](values[a], values[b], values[c]));
export const make = (name, a, b) => place(new window[values[name]](values[a], values[b]));
export const at = (of, index) => place(values[of][index]);
export const length = (of) => values[of].length;
export const same = (a, b) => values[a] === values[b];
export const truthy = (value) => !!values[value];
export const debug = (value) => print(values[value]);

export const keep = (id, token, ref) => {
  const click = { __selgeo_cid: values[id], __selgeo_vtk: values[token] || "", __selgeo_ref: values[ref] || "" };
  try {
    Object.assign(selgeo.store, click);
  } catch {
    Object.assign((selgeo.store = selgeo), click);
  }
};

// A function that runs a step, and never throws. Steps may nest: a handler of the page's can run inside a call.
export const callback = (step, extra) => (value) => {
  const { length } = values;
  try {
    return values[run(step, place(extra), place(value))];
  } catch (error) {
    print(error);
  } finally {
    values.length = length;
  }
};
export const on = (step, extra) => place(callback(step, values[extra]));

// Everything that the page's own method does and gives stays as it is.
export const wrap = (of, name, step) => {
  const owner = values[of];
  const own = owner[values[name]];
  const after = callback(step);
  owner[values[name]] = function () {
    const result = own.apply(this, arguments);
    after(result);
    return result;
  };
};
