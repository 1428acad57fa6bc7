import { useEffect } from "react";
import { Link, Route, Routes, useLocation, useNavigate } from "react-router";
import Offer from "./offer";

// Takes `ref` out of the route as soon as it is there, as shops do that want clean addresses.
function useCleanAddress() {
  const { pathname, search } = useLocation();
  const navigate = useNavigate();
  useEffect(() => {
    const pairs = new URLSearchParams(search);
    if (pairs.has("ref")) {
      pairs.delete("ref");
      navigate({ pathname, search: String(pairs) }, { replace: true });
    }
  }, [pathname, search, navigate]);
}

export default function Shop() {
  useCleanAddress();
  return (
    <main>
      <Link id="pricing" to="/pricing">
        Pricing
      </Link>
      <Link id="partner" to="/pricing?ref=bench2">
        Pricing, as another partner recommends it
      </Link>
      <Routes>
        <Route path="/pricing" element={<Offer key="pricing" name="pro" />} />
        <Route path="*" element={<Offer key="landing" name="basic" />} />
      </Routes>
    </main>
  );
}
