/** All laws: `npm test` checks them with some seeds each, `npm run simulate` with as many as one likes. */
import { actors } from "./actors.ts"
import { groups } from "./groups.ts"
import type { Law } from "./law.ts"
import { routers } from "./routers.ts"

export const laws: ReadonlyArray<Law> = [...actors, ...groups, ...routers]
