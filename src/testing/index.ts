/**
 * Helpers for tests of actors and agents.
 *
 * @since 0.1.0
 */
export * as ActorProbe from "./ActorProbe.ts"
export * as Evals from "./Evals.ts"
export * as Faults from "./Faults.ts"
export * as MemoryContract from "./MemoryContract.ts"
export * as SessionStoreSuite from "./SessionStoreSuite.ts"
export * as Simulation from "./Simulation.ts"
export * as TestActor from "./TestActor.ts"
