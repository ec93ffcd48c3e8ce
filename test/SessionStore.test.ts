import { describe, it } from "@effect/vitest"
import { Layer } from "effect"
import { SessionStore } from "effect-troupe"
import { Sqlite } from "effect-troupe/node"
import { SessionStoreSuite } from "effect-troupe/testing"
import { sqliteFile } from "./fixtures/stores.ts"

describe("SessionStore.layerMemory", () => {
  for (const { check, name } of SessionStoreSuite.promises(SessionStore.layerMemory)) it.effect(name, () => check)
})

describe("SessionStore.layerSql on SQLite in memory", () => {
  const layer = SessionStore.layerSql.pipe(Layer.provide(Sqlite.layer({ file: ":memory:" })))
  for (const { check, name } of SessionStoreSuite.promises(layer)) it.effect(name, () => check)
})

describe("SessionStore.layerSql on SQLite in a file", () => {
  const layer = SessionStore.layerSql.pipe(Layer.provide(sqliteFile))
  for (const { check, name } of SessionStoreSuite.promises(layer)) it.effect(name, () => check)
})
