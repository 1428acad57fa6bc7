import Script from "next/script";

export const metadata = { title: "A shop made with Next.js" };

// {{api}} and {{key}} are filled in when the page is served. watch.js notes errors and whatever is printed.
export default function Layout({ children }) {
  return (
    <html lang="en">
      <head>
        <script src="/watch.js" />
      </head>
      <body>
        {children}
        <Script src="{{api}}/v1/selgeo.js" data-merchant="{{key}}" strategy="afterInteractive" />
      </body>
    </html>
  );
}
