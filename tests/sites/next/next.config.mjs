// A static export, mounted where tests/src/site.rs serves it.
export default {
  output: "export",
  basePath: "/next",
  turbopack: { root: import.meta.dirname },
};
