// Verifies webhooks with the official libraries: a line {"library","secret","body","headers"} in, `verified` or `refused` out.
import readline from "node:readline";
import { Webhook as Standard } from "standardwebhooks";
import { Webhook as Svix } from "svix";

const libraries = { standardwebhooks: Standard, svix: Svix };

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { library, secret, body, headers } = JSON.parse(line);
  try {
    new libraries[library](secret).verify(body, headers);
    console.log("verified");
  } catch {
    console.log("refused");
  }
}
