package config

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"agentctl/handler/target"
)

// maxNameEvents is how many bytes of events a target's name may have; longer
// ones would fill a table's line.
const maxNameEvents = 100

// defaultName names a target that was given no name: its URL and, where it does
// not get what its preset gets anyway, its events. The name is the key to the
// target's cursor in the journal, so it comes from what the target itself is: no
// other target that comes or goes may change it.
func defaultName(t *target.Target, usual string) string {
	events := t.Filters.String()
	if events == usual {
		return t.Name
	}
	if len(events) > maxNameEvents || strings.ContainsFunc(events, func(r rune) bool { return r == unicode.ReplacementChar || unicode.IsControl(r) }) {
		events = fmt.Sprintf("%x", sha256.Sum256([]byte(events)))[:16]
	}
	return t.Name + "#" + events
}

var errTwin = errors.New(`another target has the same URL and events, and is not the same: list both among the "targets" of a configuration file, each with a name`)

// add adds a target and returns its name, which is made unique. Where another
// has the name, the two have to be the same in all else: it does no harm then
// if one gets the other's cursor in the journal, since an event that waits for
// one is the same request as for the other.
func (set *Handlers) add(t target.Target) (string, error) {
	name := t.Name
	for n := 2; ; n++ {
		i := slices.IndexFunc(set.Targets, func(other target.Target) bool { return other.Name == t.Name })
		if i < 0 {
			break
		}
		other := set.Targets[i]
		other.Name = t.Name
		if !reflect.DeepEqual(other, t) {
			return "", errTwin
		}
		t.Name = fmt.Sprintf("%s#%d", name, n)
	}
	set.Targets = append(set.Targets, t)
	return t.Name, nil
}
