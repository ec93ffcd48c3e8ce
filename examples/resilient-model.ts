/**
 * A model that is rate-limited, silent and broken by turns, made dependable by middleware.
 *
 * Shows: retries that honour retry-after, a timeout, a limit on calls at once, a fallback to another model, and a log of
 * every attempt. The models are scripted: put `OpenAi.model("gpt-5-mini")` and `Ollama.model("llama3.2")` in their place.
 * Run: `node examples/resilient-model.ts`
 */
import { Duration, Effect, Schedule } from "effect"
import { Agent, Middleware, Scripted } from "effect-troupe"
import { AiError } from "effect/ai"
import { say } from "./lib/print.ts"

const primary = Scripted.model([
  Scripted.fail(new AiError.RateLimitError({ retryAfter: Duration.millis(700) })),
  "I had to wait for a moment, but here I am.",
  [Scripted.delay("1 hour"), Scripted.text("Never heard.")],
  "The second try was quicker.",
  Scripted.fail(new AiError.AuthenticationError({ kind: "ExpiredKey" }))
])

const secondary = Scripted.model(() => "I am the other model: the first one has lost its key.")

const model = primary.pipe(
  // From the inside to the outside: each attempt is timed and logged, and is one of at most four at once.
  Middleware.timeout({ firstPart: "500 millis", betweenParts: "500 millis" }),
  Middleware.log(),
  Middleware.concurrency(4),
  Middleware.retry(Schedule.exponential("100 millis").pipe(Schedule.jittered, Schedule.upTo({ times: 3 }))),
  Middleware.fallback(secondary)
)

const assistant = Agent.make("assistant", { instructions: "You are concise." })

const program = Effect.forEach(["Are you there?", "And now?", "Still?"], (question) =>
  Effect.gen(function*() {
    yield* say(`\n> ${question}`)
    const { text } = yield* Agent.response(Agent.run(assistant, question))
    yield* say(text)
  }), { discard: true })

await Effect.runPromise(Effect.provide(program, model))
