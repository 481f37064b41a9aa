package architecture

import (
	"slices"
	"strings"
	"testing"
)

// leaves import none of our packages, and every package may import them.
var leaves = append([]string{"handler", "handler/text"}, tools...)

// tools are the leaves that know nothing of events.
var tools = []string{
	"agent/admission", "agent/dropped", "agent/files", "agent/logs", "agent/tally", "agent/version",
	"handler/backoff", "handler/probe", "handler/queue", "handler/socket", "handler/varint",
}

// table says which of our packages each package imports, beside leaves.
const table = `
handler/http1            -
handler/template         -
handler/target           handler/http1 handler/template
handler/shim             -
handler/journal          -
handler/journal/boltfile -
handler/journal/disk     handler/journal handler/journal/boltfile
handler/delivery         handler/journal handler/target

rpcclient/wire           -
rpcclient/wire/wiretest  -
rpcclient                rpcclient/wire

agent/api                -
agent/link               -
agent/delegate           -
agent/durable            agent/delegate agent/link
agent/fleet              agent/api agent/delegate agent/link
agent/large              -
agent/memnet             -
agent/packets            -
agent/plumtree           -
agent/repair             handler/journal
agent/suspicion          -
agent/rpc                rpcclient/wire
agent/config             agent/large handler/shim handler/target
agent/script             handler/target
agent/peers              agent/link
agent/membership         agent/link agent/peers
agent/gossip             agent/config
agent/intake             agent/large agent/script handler/journal
agent/broadcast          agent/link agent/peers agent/plumtree
agent/publish            agent/broadcast agent/gossip agent/intake agent/large agent/link agent/peers agent/plumtree
agent/ops                agent/api agent/config agent/delegate agent/durable agent/fleet agent/link agent/publish
agent/ops                handler/delivery handler/journal handler/journal/disk handler/target rpcclient/wire

agent                    agent/api agent/broadcast agent/config agent/durable agent/gossip agent/intake agent/large agent/link agent/membership
agent                    agent/ops agent/packets agent/peers agent/publish agent/repair agent/rpc agent/script agent/suspicion
agent                    handler/delivery handler/journal handler/journal/disk handler/target

cmd/agentctl/quick       -
cmd/agentctl/screen      -
cmd/agentctl             agent agent/api agent/config agent/gossip agent/large
cmd/agentctl             cmd/agentctl/quick cmd/agentctl/screen rpcclient rpcclient/wire
cmd/agentctl             handler/delivery handler/journal/disk handler/shim handler/target

scripts/architecture     -
scripts/bench            rpcclient scripts/bench/broadcast scripts/bench/simulation scripts/testkit/stock
scripts/bench/broadcast  agent/plumtree
scripts/bench/simulation agent agent/config agent/memnet agent/peers
scripts/example          agent/api rpcclient
scripts/packaging/licenses -
scripts/pages            -
scripts/prose            -
scripts/systest          -
scripts/systest/attack   -
scripts/systest/cluster  -
scripts/systest/commands -
scripts/systest/compat   -
scripts/systest/delivery -
scripts/systest/kong     -
scripts/systest/network  -
scripts/systest/presets  -
scripts/systest/rpc      -
scripts/systest/workers  -
scripts/testkit          -
scripts/testkit/disks    handler/journal/disk scripts/testkit
scripts/testkit/fusefs   -
scripts/testkit/journals handler/journal
scripts/testkit/leaks    -
scripts/testkit/loopback -
scripts/testkit/lyingfs  scripts/testkit/fusefs
scripts/testkit/memory   agent/memnet scripts/testkit
scripts/testkit/proc     agent/api rpcclient scripts/testkit/loopback scripts/testkit/stock scripts/testkit
scripts/testkit/script   scripts/testkit/loopback scripts/testkit/stock scripts/testkit scripts/testkit/proc scripts/testkit/stub
scripts/testkit/serfnode -
scripts/testkit/slowfs   scripts/testkit/fusefs
scripts/testkit/smallfs  -
scripts/testkit/stock    -
scripts/testkit/stub     -
scripts/vulnerabilities  -
`

// readTable returns the imports of each package in a table. A package may have
// several lines.
func readTable(text string) map[string][]string {
	imports := map[string][]string{}
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) > 0 {
			of := slices.DeleteFunc(fields[1:], func(name string) bool { return name == "-" })
			imports[fields[0]] = append(imports[fields[0]], of...)
		}
	}
	return imports
}

func TestImportsAreThoseOfTheTable(t *testing.T) {
	want := readTable(table)
	for _, leaf := range leaves {
		if _, ok := want[leaf]; ok {
			t.Errorf("%s is both a leaf and in the table", leaf)
		}
		want[leaf] = nil
	}
	used := map[string]bool{}
	for _, p := range packages(t) {
		allowed, ok := want[p.name()]
		if !ok {
			t.Errorf("%s is not in the table: give it a line with what it imports", p.name())
			continue
		}
		delete(want, p.name())
		for _, path := range p.Imports {
			name, ours := strings.CutPrefix(path, module)
			switch at := slices.Index(allowed, name); {
			case !ours:
			case at >= 0:
				allowed = slices.Delete(allowed, at, at+1)
			case !slices.Contains(leaves, name):
				t.Errorf("%s imports %s, which the table does not have", p.name(), name)
			case slices.Contains(leaves, p.name()):
				t.Errorf("%s imports %s, but a leaf imports none of our packages", p.name(), name)
			}
			used[name] = true
		}
		for _, name := range allowed {
			t.Errorf("%s does not import %s: the table has it in vain", p.name(), name)
		}
	}
	for name := range want {
		t.Errorf("there is no package %s, which the table has", name)
	}
	for _, leaf := range leaves {
		if !used[leaf] {
			t.Errorf("nobody imports the leaf %s", leaf)
		}
	}
}
