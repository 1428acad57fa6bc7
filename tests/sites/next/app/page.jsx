import Link from "next/link";
import Offer from "./offer";

export default function Landing() {
  return (
    <main>
      <h1>Landing</h1>
      <a id="static" href="https://buy.stripe.com/test_static">
        Buy
      </a>
      <Offer />
      <Link id="pricing" href="/pricing">
        Pricing
      </Link>
      <Link id="partner" href="/pricing?ref=bench2">
        Pricing, as another partner recommends it
      </Link>
    </main>
  );
}
