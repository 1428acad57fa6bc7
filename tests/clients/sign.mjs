// Signs as Stripe does, with Stripe's own library: a line {"payload","secret"} in, a line of Stripe-Signature out.
import readline from "node:readline";
import Stripe from "stripe";

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { payload, secret } = JSON.parse(line);
  console.log(Stripe.webhooks.generateTestHeaderString({ payload, secret }));
}
