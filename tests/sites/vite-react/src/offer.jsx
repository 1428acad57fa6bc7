import { useEffect, useState } from "react";

// Payment Links that come late, and that React writes again: with the same address, with another, and as other elements.
export default function Offer({ name }) {
  const [isLate, setLate] = useState(false);
  const [count, setCount] = useState(0);
  const [plan, setPlan] = useState("month");
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), 200);
    return () => clearTimeout(timer);
  }, []);
  return (
    <section id={name}>
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
      {isLate && (
        <a id="late" href={`https://buy.stripe.com/test_${name}`}>
          Buy
        </a>
      )}
    </section>
  );
}
