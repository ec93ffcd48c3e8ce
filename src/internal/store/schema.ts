/**
 * The tables of a session store, format by format.
 *
 * A claimed turn is part of its session's row, so that claims and commits are decided by one row; turns that wait have rows
 * of their own. `states` says for each state value at which version it was set: the commit of that version has it.
 *
 * @internal
 */
import type { Dialect } from "./database.ts"

/** The statements that lead from one format to the next, from an empty database on. */
export const formats = (dialect: Dialect): ReadonlyArray<ReadonlyArray<string>> => [first(dialect)]

// -----------------------------------------------------------------------------------------------------------------
// internals
// -----------------------------------------------------------------------------------------------------------------

const first = (dialect: Dialect): ReadonlyArray<string> => {
  // Ids are compared byte by byte, whatever the database's language.
  const key = dialect === "pg" ? "text collate \"C\" not null" : "text not null"
  // For small rows; those of commits and blobs are large.
  const end = dialect === "pg" ? "" : "without rowid"
  const json = dialect === "pg" ? "jsonb" : "text"
  return [
    `create table troupe_sessions (
      session ${key}, owner ${key}, title text not null, tags text not null, version {int} not null,
      branch {int} not null, states ${json} not null, created_at {int} not null, used_at {int} not null,
      attempt {int} not null, turn text, hash text, author text, input text, turn_at {int}, cancel text,
      progress {int}, parked {int}, until {int}, primary key (session)) ${end}`,
    "create index troupe_sessions_owner on troupe_sessions (owner, used_at)",
    "create index troupe_sessions_used on troupe_sessions (used_at)",
    "create index troupe_sessions_claimed on troupe_sessions (until) where turn is not null",
    "create index troupe_sessions_cancel on troupe_sessions (session) where cancel is not null",
    `create table troupe_turns (
      session ${key}, turn ${key}, place {int} not null, hash text not null, author text not null, input text not null,
      turn_at {int} not null, cancel text, primary key (session, turn)) ${end}`,
    `create table troupe_commits (
      session ${key}, version {int} not null, parent {int} not null, branch {int} not null, kind text not null,
      turn text not null, hash text not null, attempt {int} not null, author text not null, ended text not null,
      body text not null, changes text, states ${json} not null, title text, tags text, made_at {int} not null,
      primary key (session, version))`,
    "create unique index troupe_commits_turn on troupe_commits (session, turn) where turn <> ''",
    "create index troupe_commits_branch on troupe_commits (session, version) where kind in ('rewind', 'fork')",
    `create table troupe_journal (
      session ${key}, turn ${key}, path ${key}, kind ${key}, hash text not null, body text not null,
      attempt {int} not null, primary key (session, turn, path, kind)) ${end}`,
    `create table troupe_calls (
      session ${key}, turn ${key}, path ${key}, kind text not null, request text not null, asked_at {int} not null,
      expires_at {int}, decision text, decided_by text, decided_at {int}, primary key (session, turn, path)) ${end}`,
    "create index troupe_calls_waiting on troupe_calls (asked_at) where decision is null",
    `create table troupe_wakes (
      session ${key}, name ${key}, due_at {int} not null, cron text, author text not null, input text not null,
      held_until {int} not null, primary key (session, name)) ${end}`,
    "create index troupe_wakes_due on troupe_wakes (due_at)",
    `create table troupe_blobs (hash ${key}, body text not null, uses {int} not null, primary key (hash))`,
    `create table troupe_blob_uses (session ${key}, hash ${key}, primary key (session, hash)) ${end}`,
    ...dialect === "sqlite" ? [afterCommit] : []
  ]
}

/** The rest of a turn's commit. SQLite has no statement that writes to several tables; a transaction costs three times as much. */
const afterCommit = `create trigger troupe_commit after insert on troupe_commits
  when new.kind = 'turn' and exists (
    select 1 from troupe_sessions where session = new.session and turn = new.turn and version = new.parent)
  begin
    update troupe_sessions set version = new.version, states = new.states, title = coalesce(new.title, title),
      tags = coalesce(new.tags, tags), used_at = new.made_at, turn = null, input = null, cancel = null
      where session = new.session;
    delete from troupe_journal where session = new.session and turn = new.turn;
    delete from troupe_calls where session = new.session and turn = new.turn;
  end`
