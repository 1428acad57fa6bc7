import Link from "next/link";
import Offer from "../../app/offer";

export default function Landing() {
  return (
    <main>
      <h1>Landing, by the Pages Router</h1>
      <a id="static" href="https://buy.stripe.com/test_static">
        Buy
      </a>
      <Offer />
      <Link id="partner" href="/classic/pricing?ref=bench2">
        Pricing, as another partner recommends it
      </Link>
    </main>
  );
}
