"use client";

import { useEffect, useState } from "react";

// A Payment Link that React writes again: with the same address, with another, and as another element.
export default function Offer() {
  const [isHydrated, setHydrated] = useState(false);
  const [count, setCount] = useState(0);
  const [plan, setPlan] = useState("month");
  useEffect(() => setHydrated(true), []);
  return (
    <section id="offer" data-hydrated={isHydrated}>
      <button id="more" onClick={() => setCount(count + 1)}>
        One more
      </button>
      <button id="switch" onClick={() => setPlan(plan === "month" ? "year" : "month")}>
        Other plan
      </button>
      <a id="plan" data-count={count} href={`https://buy.stripe.com/test_${plan}`}>
        Buy {count} by the {plan}
      </a>
      <a id="made-anew" key={count} href="https://buy.stripe.com/test_anew">
        Buy
      </a>
    </section>
  );
}
