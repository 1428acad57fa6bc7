// What `cargo xtask bench snippet` holds selgeo.js against: the same features in plain JavaScript, as one would write them
// who never heard of WebAssembly. It is no product, and nothing but the bench loads it.
(() => {
  const tag = document.currentScript || [...document.querySelectorAll("script[data-merchant]")].pop();
  const selgeo = (window.__selgeo ||= {});
  const CID = "__selgeo_cid", VTK = "__selgeo_vtk", REF = "__selgeo_ref";
  const OURS = Symbol("selgeo");
  const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
  const ELEMENTS_MAX = 400;

  const debug = (value) => {
    if (tag && "debug" in tag.dataset) console.log("selgeo", value);
  };
  const guarded = (work) => (...given) => {
    try {
      return work(...given);
    } catch (error) {
      debug(error);
    }
  };

  let store;
  try {
    store = window.sessionStorage;
  } catch {
    // Blocked.
  }
  store ||= selgeo;
  const keep = (id, token, ref) => {
    const click = { [CID]: id, [VTK]: token || "", [REF]: ref || "" };
    try {
      Object.assign(store, click);
    } catch {
      store = Object.assign(selgeo, click);
    }
  };

  let allowed;
  const waiting = [];
  const isAllowed = () => allowed ?? tag.dataset.consent !== "wait";
  const kept = () => (isAllowed() && UUID.test(store[CID]) ? store[CID] : null);

  selgeo.getClickId = () => store[CID] || null;
  selgeo.version = "plain";
  if (selgeo.isRunning || !/^pk_\w+$/.test(tag?.dataset.merchant)) return;
  selgeo.isRunning = true;
  const { merchant, apiUrl } = tag.dataset;

  // Marking

  const hostsOf = (list) => (list || "").split(/[\s,]+/).filter(Boolean);
  // Read again for each look at the page: the tag may be changed.
  const listedHosts = () => ({ payment: hostsOf(tag.dataset.paymentHosts), link: hostsOf(tag.dataset.linkHosts) });
  const isTrusted = (origin) => /^https:|^http:\/\/(localhost|127\.0\.0\.1|\[::1])(:|$)/.test(origin);
  const isListed = (link, hosts) => hosts.includes(link.host) && isTrusted(link.origin);
  const isPayment = (link, hosts) => link.origin === "https://buy.stripe.com" || isListed(link, hosts.payment);
  const opensTab = (link) => link.origin === location.origin && link.target && !/^_(self|parent|top)/i.test(link.target);
  const parsed = (href) => Object.assign(document.createElement("a"), { href });
  const isFree = (holder, value, id) => !value || (value === holder[OURS] && value !== id);

  const markLink = (link, name, id) => {
    const pairs = new URLSearchParams(link.search);
    const value = pairs.get(name);
    if (value === null) {
      link.search += `${link.search ? "&" : "?"}${name}=${id}`;
    } else if (!value) {
      pairs.set(name, id);
      link.search = pairs;
    } else if (value === link[OURS] && value !== id) {
      link.search = link.search.replace(value, id);
    } else {
      return;
    }
    link[OURS] = id;
  };

  const markForm = (form, id) => {
    let field = form.querySelector("[name=client_reference_id]");
    if (!field) {
      field = Object.assign(document.createElement("input"), { type: "hidden", name: "client_reference_id" });
      form.append(field);
    } else if (!field[OURS] || !isFree(field, field.value, id)) {
      return;
    }
    field.value = field[OURS] = id;
  };

  const markElement = (element, id) => {
    const value = element.getAttribute("client-reference-id");
    if (isFree(element, value, id)) {
      element.setAttribute("client-reference-id", id);
      element[OURS] = id;
    }
  };

  const mark = (element, id, hosts) => {
    switch (element.localName) {
      case "a":
      case "area":
        if (isPayment(element, hosts)) markLink(element, "client_reference_id", id);
        else if (opensTab(element) || isListed(element, hosts.link)) markLink(element, "trac_click_id", id);
        break;
      case "form":
        if (isPayment(parsed(element.getAttribute("action")), hosts)) markForm(element, id);
        break;
      case "stripe-buy-button":
      case "stripe-pricing-table":
        markElement(element, id);
    }
  };

  // Looking at the page: a bounded number of elements at a time.

  const queue = [];
  let timer = 0;
  const walkLater = () => {
    timer ||= setTimeout(guarded(walk));
  };
  function walk() {
    timer = 0;
    const id = kept();
    if (!id) return;
    const hosts = listedHosts();
    for (let left = ELEMENTS_MAX; queue.length; left--) {
      if (!left) {
        walkLater();
        break;
      }
      const node = queue.pop();
      if (!node.children) continue;
      for (const child of node.children) queue.push(child);
      if (node.shadowRoot) observe(node.shadowRoot);
      mark(node, id, hosts);
    }
    // What was done here need not be looked at.
    observer.takeRecords();
  }
  const observer = new MutationObserver(
    guarded((records) => {
      for (const { addedNodes, target } of records) {
        if (addedNodes.length) queue.push(...addedNodes);
        else queue.push(target);
      }
      walkLater();
    }),
  );
  function observe(root) {
    const attributeFilter = ["href", "target", "action", "src", "client-reference-id"];
    observer.observe(root, { subtree: true, childList: true, attributeFilter });
    queue.push(root);
  }
  const markDocument = guarded(() => {
    if (kept()) {
      observe(document);
      walk();
    }
  });
  const used = guarded((event) => {
    const id = kept();
    if (!id) return;
    const hosts = listedHosts();
    const opens = event.button || event.ctrlKey || event.metaKey || event.shiftKey;
    for (const element of event.composedPath()) {
      mark(element, id, hosts);
      if (opens && element.localName === "a" && element.origin === location.origin) {
        markLink(element, "trac_click_id", id);
      }
    }
  });

  // Arriving

  const found = () => {
    markDocument();
    for (const wanted of waiting.splice(0)) setTimeout(guarded(() => wanted(kept())));
  };
  const clicksUrl = () => {
    const base = apiUrl || new URL(".", tag.src).href.replace(/v1\/$/, "");
    return base.replace(/\/*$/, "/v1/clicks");
  };
  const register = async (ref, address) => {
    const click = {
      merchant,
      ref,
      url: address.href.slice(0, 2048),
      referrer: document.referrer.slice(0, 2048),
      visitor_token: store[VTK] || undefined,
    };
    const init = { method: "POST", body: JSON.stringify(click), keepalive: true, credentials: "omit" };
    try {
      const answer = await (await fetch(clicksUrl(), init)).json();
      debug(answer);
      if (isAllowed() && UUID.test(answer.click_id)) {
        keep(answer.click_id, answer.visitor_token, ref);
        found();
      }
    } catch (error) {
      debug(error);
    }
  };
  const adopt = (id, ref) => {
    keep(id, store[VTK], ref);
    found();
    const address = location.href
      .replace(/^([^#]*[?&])trac_click_id=[^&#]*&/, "$1")
      .replace(/^([^#]*)[?&]trac_click_id=[^&#]*/, "$1");
    if (address !== location.href) history.replaceState(history.state, "", address);
  };
  // Routers replace addresses before and after they change them: what counts is another ref.
  let lastRef;
  const asked = (text) => {
    const address = new URL(text);
    const ref = address.searchParams.get("ref");
    const handedOver = address.searchParams.get("trac_click_id");
    if (UUID.test(handedOver)) {
      adopt(handedOver, ref);
      return true;
    }
    if (!ref) return false;
    if (ref !== lastRef && (ref !== store[REF] || !kept())) {
      lastRef = ref;
      address.hash = "";
      register(ref, address);
    }
    return true;
  };
  const arrive = guarded(() => {
    if (!isAllowed()) return;
    markDocument();
    asked(location.href) || asked(performance.getEntriesByType("navigation")[0]?.name ?? location.href);
  });

  const watchRoutes = () => {
    const navigated = guarded(() => isAllowed() && asked(location.href));
    for (const name of ["pushState", "replaceState"]) {
      const real = history[name];
      history[name] = function (...given) {
        const result = real.apply(this, given);
        navigated();
        return result;
      };
    }
    addEventListener("popstate", navigated);
  };

  const start = guarded(() => {
    selgeo.onClickId = (wanted) => (kept() ? wanted(kept()) : waiting.push(wanted));
    selgeo.decorate = (given) => {
      const id = kept();
      const isElement = given instanceof Element;
      if (!id) return given;
      if (!isElement || given.origin) {
        const link = isElement ? given : parsed(given);
        markLink(link, "client_reference_id", id);
        return isElement ? link : link.href;
      }
      given.localName === "form" ? markForm(given, id) : mark(given, id, listedHosts());
      return given;
    };
    selgeo.consent = (given) => {
      allowed = given;
      if (given) return arrive();
      for (const name of [CID, VTK, REF]) delete store[name];
    };
    for (const event of ["DOMContentLoaded", "load"]) addEventListener(event, markDocument, true);
    for (const event of ["pointerdown", "click", "auxclick", "keydown", "submit"]) addEventListener(event, used, true);
    arrive();
    watchRoutes();
  });
  if (document.prerendering) document.addEventListener("prerenderingchange", start, { once: true });
  else start();
})();
