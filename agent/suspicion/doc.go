// Package suspicion suspects that events were lost before they came to this node: a
// stock member dropped them before it passed them on, or the kernel dropped packets.
// Nobody can prove such a loss here. But events get Lamport times one after the other.
// So a loss leaves a hole: this node saw earlier and later times, and no event of that
// one.
//
// # What can be known
//
// A hole is no proof of a loss. These leave holes, too:
//
//   - A node of ours that publishes after a restart, before it has met another, skips
//     up to 128 times on purpose.
//   - Two events that are published at the same moment at one stock member may share a
//     time, and leave the next one unused.
//   - A publish that is given up may have taken its time already.
//   - When two parts of a cluster meet, one part's clock jumps.
//
// A loss need not leave a hole either. Up to 50 events of ours share a time, and so do
// events that different members publish at once. The loss of some of them shows nowhere.
// The loss of the newest events shows only once a later event comes. And a node
// remembers its holes only as long as its process lives.
//
// So a hole is a suspicion, and it costs each target one flush at most.
//
// # When a suspicion counts
//
//   - The hole is between events that came to this process, or behind the journal of the
//     last one. A new node's past is no hole: it begins with the first full sync.
//   - Two full syncs of members whose clocks are beyond it did not fill it, the second
//     of them at least 10 seconds after the hole showed. Any other way fills a hole as
//     well: gossip, links, repair.
//   - A member is in the cluster that is not known to be one of ours. Among our own
//     nodes package repair finds whatever any of them has, and a flush would add nothing.
//   - It is no jump of more than 65,536 times. Such a jump is a forged or a broken
//     clock, or a node that was away for so long that its operator knows.
//
// # One flush for a spread of holes
//
// A burst that is lost in part leaves many holes, and they show over a minute. So
// [Times] waits until all its holes count, for a minute at most. It then tells of them
// together, and forgets them. It tells at most once a minute.
//
// One forged event makes one hole, so it causes one flush at most. The events of others
// that follow have times behind it, and make no further hole.
//
// # Blocking and bounds
//
// [Times.Saw] and [Times.Synced] never wait. Methods are safe for concurrent use. Only
// [Times.Run] calls the functions of a [Config]. A Times keeps 1,024 holes. Of more, the
// oldest counts at once.
package suspicion
