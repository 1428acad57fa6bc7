import Link from "next/link";
import Offer from "../offer";

export default function Pricing() {
  return (
    <main>
      <h1>Pricing</h1>
      <a id="pro" href="https://buy.stripe.com/test_pro">
        Buy
      </a>
      <Offer />
      <Link id="landing" href="/">
        Back
      </Link>
    </main>
  );
}
