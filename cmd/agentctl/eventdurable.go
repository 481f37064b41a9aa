package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"agentctl/agent/api"
)

// onDisk tells which nodes have an event on their disks. In JSON it tells so only if
// nothing else follows.
func (w *waiting) onDisk(sent *api.PublishReport) (code int, err error) {
	d := sent.Durable
	if d.Have < d.Wanted {
		code = notApplied
	}
	switch {
	case !w.ops.json():
		_, err = fmt.Fprintln(w.out, durableLine(sent))
	case !w.targets:
		err = writeLine(w.out, sent)
	}
	return code, err
}

// durableLine says which nodes have an event on their disks, and why others have not.
func durableLine(sent *api.PublishReport) string {
	d := sent.Durable
	var b strings.Builder
	fmt.Fprintf(&b, "Event %s is on the disks of %s", word(sent.ID), count(d.Have, "node"))
	if d.Have > 0 {
		fmt.Fprintf(&b, ": %s", words(d.Nodes))
	}
	if d.Have >= d.Wanted {
		return b.String()
	}
	fmt.Fprintf(&b, "\nThat is fewer than %d. It is published all the same: do not send it again", d.Wanted)
	for _, node := range slices.Sorted(maps.Keys(d.Missing)) {
		fmt.Fprintf(&b, "\n  %s: %s", word(node), printable([]byte(d.Missing[node]), 200))
	}
	return b.String()
}
