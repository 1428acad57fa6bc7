import Script from "next/script";

// {{api}} and {{key}} are filled in when the page is served.
export default function App({ Component, pageProps }) {
  return (
    <>
      <Component {...pageProps} />
      <Script src="{{api}}/v1/selgeo.js" data-merchant="{{key}}" strategy="afterInteractive" />
    </>
  );
}
