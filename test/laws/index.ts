/** All laws: `npm test` checks them with some seeds each, `npm run simulate` with as many as one likes. */
import { agents } from "./agents.ts"
import { groups } from "./groups.ts"
import type { Law } from "./law.ts"
import { lives } from "./lives.ts"
import { messages } from "./messages.ts"
import { routers } from "./routers.ts"
import { teams } from "./teams.ts"

export const laws: ReadonlyArray<Law> = [...messages, ...lives, ...groups, ...routers, ...agents, ...teams]
