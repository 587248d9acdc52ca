/** What lies in sets and maps, by none of the methods they have: an iterator that a program put there may come to no end. */

/** As they were when this was loaded: a task may put others in their place. */
const { apply } = Reflect
const { forEach: forEachMember } = Set.prototype
const { forEach: forEachEntry } = Map.prototype

/** The members of a set, in their order. */
export function membersOf(set: Set<unknown>): unknown[] {
  const members: unknown[] = []
  const keep = (member: unknown) => {
    members[members.length] = member
  }
  apply(forEachMember, set, [keep])
  return members
}

/** The keys of a map, each followed by its value, in their order. */
export function entriesOf(map: Map<unknown, unknown>): unknown[] {
  const entries: unknown[] = []
  const keep = (value: unknown, key: unknown) => {
    entries[entries.length] = key
    entries[entries.length] = value
  }
  apply(forEachEntry, map, [keep])
  return entries
}
