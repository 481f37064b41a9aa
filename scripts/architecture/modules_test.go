package architecture

import (
	"slices"
	"testing"
)

// importers says which of our packages import a package that is not ours, or one
// below it.
var importers = map[string][]string{
	// The command line, and what only it needs. The first two are archived.
	"github.com/mitchellh/cli":           {"cmd/agentctl"},
	"github.com/hashicorp/serf/cmd":      {"cmd/agentctl"},
	"github.com/hashicorp/go-metrics":    {"agent/gossip", "agent/rpc", "agent/script", "cmd/agentctl"},
	"github.com/hashicorp/go-sockaddr":   {"agent/gossip"},
	"github.com/hashicorp/go-syslog":     {"cmd/agentctl"},
	"github.com/coreos/go-systemd/v22":   {"cmd/agentctl"},
	"golang.org/x/term":                  {"cmd/agentctl/screen"},
	"github.com/hashicorp/logutils":      {"agent/rpc"},
	"github.com/hashicorp/mdns":          {"agent/membership"},
	"github.com/flynn/noise":             {"agent/link"},
	"github.com/hashicorp/yamux":         {"agent/link"},
	"github.com/armon/circbuf":           {"agent/script"},
	"go.etcd.io/bbolt":                   {"handler/journal/disk"},
	"github.com/hashicorp/go-msgpack/v2": {"agent/gossip", "rpcclient/wire", "rpcclient/wire/wiretest"},

	"github.com/hashicorp/memberlist": {
		"agent", "agent/broadcast", "agent/gossip", "agent/link", "agent/memnet", "scripts/bench/simulation", "scripts/testkit/serfnode",
	},
	"github.com/hashicorp/serf": {
		"agent", "agent/broadcast", "agent/fleet", "agent/gossip", "agent/intake", "agent/membership", "agent/ops", "agent/packets", "agent/peers", "agent/publish", "agent/rpc",
		"agent/script", "cmd/agentctl", "scripts/bench/simulation", "scripts/testkit/serfnode",
	},
	// Who counts. Whoever counts takes a registry, and works without one.
	"github.com/prometheus": {
		"agent", "agent/broadcast", "agent/dropped", "agent/durable", "agent/fleet", "agent/intake", "agent/large", "agent/link", "agent/membership", "agent/ops", "agent/peers", "agent/publish",
		"agent/repair", "agent/rpc", "agent/script", "agent/suspicion", "cmd/agentctl", "handler/delivery", "handler/journal/disk", "handler/probe",
		"scripts/testkit",
	},
	"github.com/yuin/goldmark":     {"scripts/prose"},
	"github.com/hanwen/go-fuse/v2": {"scripts/testkit/fusefs", "scripts/testkit/lyingfs", "scripts/testkit/slowfs"},
	"testing": {
		"scripts/testkit", "scripts/testkit/disks", "scripts/testkit/journals", "scripts/testkit/leaks", "scripts/testkit/lyingfs", "scripts/testkit/memory",
		"scripts/testkit/proc", "scripts/testkit/script", "scripts/testkit/serfnode", "scripts/testkit/slowfs", "scripts/testkit/smallfs", "scripts/testkit/stock",
	},
}

func TestModulesAreImportedByFew(t *testing.T) {
	for root, want := range importers {
		var got []string
		for _, p := range packages(t) {
			if slices.ContainsFunc(p.Imports, func(path string) bool { return below(path, root) }) {
				got = append(got, p.name())
			}
		}
		for _, name := range got {
			if !slices.Contains(want, name) {
				t.Errorf("%s imports %s, which only %v may", name, root, want)
			}
		}
		for _, name := range want {
			if !slices.Contains(got, name) {
				t.Errorf("%s does not import %s: it is listed in vain", name, root)
			}
		}
	}
}
