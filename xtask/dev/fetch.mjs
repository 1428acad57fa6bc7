// One HTTPS request for the project's commands, which bring no TLS of their own.
//
// Reads {"method","url","headers","body"?} on stdin and prints {"status","body"}. No redirect is followed. What could not be
// reached is said on stderr, with exit code 1.

import { text } from "node:stream/consumers";

const { method, url, headers, body } = JSON.parse(await text(process.stdin));
try {
  const answer = await fetch(url, { method, headers, body, redirect: "manual", signal: AbortSignal.timeout(30_000) });
  console.log(JSON.stringify({ status: answer.status, body: await answer.text() }));
} catch (error) {
  console.error(error.cause?.message ?? error.message);
  process.exitCode = 1;
}
