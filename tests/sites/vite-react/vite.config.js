// Two pages, one for each kind of routing, mounted where tests/src/site.rs serves them.
export default {
  base: "/vite-react/",
  esbuild: { jsx: "automatic" },
  build: { rollupOptions: { input: ["index.html", "hash.html"] } },
};
