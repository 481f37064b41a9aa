// Package delegate asks a thousand members one question without a link to each. The
// asker splits the members into groups. One member of each group, the delegate, asks the
// others of its group and passes on what each has said.
//
//	asker ─┬─► delegate of group 1 ─► each of its members     path 0
//	       ├─► delegate of group 2 ─► …
//	       ├─► another delegate of group 1 ─► the same members   path 1
//	       └─► a few members, by itself
//
// An [Inquiry] is one question. Its owner calls [Inquiry.Round] again and again, with the
// members whose answer may still change. [Delegates.Handle] is the other side.
//
// # Who asks whom
//
// The asker itself asks up to [Few] members. More members are split by the hash of their
// names into at most 16 groups, or into so many that a group has less than 1,024. A
// delegate with more than [Few] names splits them once more. The groups and the delegates
// stay the same as long as the members do. So the same links serve again.
//
// A delegate is left out for a minute if it refuses, cannot be reached, or is silent for
// 400 ms. Agents of earlier versions refuse. The next one takes its place at once. If
// that one refuses too, the asker asks the members of the group itself.
//
// # Blocking
//
// [Inquiry.Round] never waits. A delegate makes one sweep over its names, and says which
// it did not reach. It replies at the first of these moments:
//
//   - all its names have answered;
//   - three quarters have answered, and three times as long and 50 ms have passed since;
//   - a second has passed.
//
// If there is no reply after 200 ms, the asker asks the same members along the other path.
// If a path that is needed has no reply after three times as long as others took, the
// asker asks itself. It does so after 200 ms at the earliest and 800 ms at the latest. It
// begins to ask 64 members at a time, and does not wait for those that hang.
//
// # Trust
//
// A link proves that a peer holds the cluster's key, and no more. So a delegate can lie
// about others. That is why each member is asked along two paths. A bit of a name's hash
// says on which path the member may be a delegate, on all levels. So no node is on both.
//
// A final answer counts in two cases: both paths have passed on the same words, or the
// member itself has said it to the asker. If the paths differ, the asker asks the member
// itself. So one liar changes no final answer. It costs one more round, and a question to
// each member that it lied about.
//
// Two liars are believed about a member if they are its delegates on different paths. Each
// process draws its delegates with a random number of its own, so nobody can choose to be
// one. If k of n members lie together, they are believed about a member with a chance of
// (k/n)². Beyond 1,024 members a path has two delegates, and the chance is (2k/n)².
//
// An answer that is not final counts from one path, because the asker only asks again.
//
// # Limits
//
//   - A request has up to 1,024 names and 96 KiB, and a reply up to 512 KiB. All answers
//     in it have up to 1 MiB, if each counts with what it has in common with others. An
//     answer that does not fit counts as not reached.
//   - A delegate works for 32 requests at a time, 8 of one host. It says that it is busy to
//     others. The asker comes back two times, and then asks itself.
//   - A request keeps its place for 1 ms for each name. So a host has at most 8,000 names a
//     second asked.
//   - A delegate asks only members that it knows, 64 at a time for a request.
//   - A request passes two delegates at most.
package delegate
