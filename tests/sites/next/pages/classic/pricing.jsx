import Link from "next/link";
import Offer from "../../app/offer";

export default function Pricing() {
  return (
    <main>
      <h1>Pricing, by the Pages Router</h1>
      <a id="pro" href="https://buy.stripe.com/test_pro">
        Buy
      </a>
      <Offer />
      <Link id="landing" href="/classic">
        Back
      </Link>
    </main>
  );
}
