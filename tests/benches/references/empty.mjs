// What the runtime costs by itself.
export default {
  fetch() {
    return new Response("ok");
  },
};
