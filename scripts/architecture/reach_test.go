package architecture

import (
	"slices"
	"strings"
	"testing"
)

// unreachable says what a package must not contain, with all that it imports in
// turn. A name ending in / stands for all packages below it. What stands for a
// package holds for those below it too. The tools among the leaves are allowed to
// all.
var unreachable = []struct {
	pkg   string
	never []string
	why   string
}{
	{"agentctl/handler", []string{
		"github.com/hashicorp/serf/", "github.com/hashicorp/memberlist", "github.com/mitchellh/cli",
		"github.com/hashicorp/cli", "agentctl/agent", "agentctl/rpcclient", "agentctl/cmd/",
	}, "an event's way into a gateway knows nothing of serf"},
	{"agentctl/rpcclient", []string{
		"github.com/hashicorp/serf/", "github.com/hashicorp/memberlist", "github.com/mitchellh/cli",
		"github.com/hashicorp/cli", "github.com/prometheus/", "agentctl/agent", "agentctl/handler", "agentctl/cmd/",
	}, "a client of the RPC needs the protocol and nothing else"},
	{"agentctl/agent", []string{
		"github.com/mitchellh/cli", "agentctl/cmd/", "agentctl/scripts/",
	}, "the agent runs without a command line"},
	{"agentctl/agent/config", []string{
		"github.com/hashicorp/", "agentctl/agent/link", "agentctl/agent/rpc", "agentctl/agent/repair",
		"agentctl/handler/journal", "agentctl/rpcclient",
	}, "a configuration is read without what will run with it"},
	{"agentctl/agent/api", []string{
		"github.com/", "golang.org/", "agentctl/agent", "agentctl/rpcclient", "agentctl/handler/delivery", "agentctl/handler/journal",
		"agentctl/handler/target",
	}, "messages are plain structs, which a client reads without the agent"},
	{"agentctl/agent/link", []string{
		"github.com/hashicorp/serf/", "go.etcd.io/bbolt", "agentctl/agent/rpc", "agentctl/handler", "agentctl/rpcclient",
	}, "links carry bytes, and know memberlist's transport and nothing of serf or events"},
	{"agentctl/agent/large", []string{
		"github.com/hashicorp/serf/", "github.com/hashicorp/memberlist", "agentctl/agent/link", "agentctl/agent/repair", "agentctl/rpcclient",
	}, "large is about what stands for an event, and does not know how that travels"},
	{"agentctl/agent/memnet", []string{
		"github.com/hashicorp/serf/", "agentctl/agent/", "agentctl/handler", "agentctl/rpcclient",
	}, "a network in memory carries bytes"},
	{"agentctl/agent/membership", []string{
		"agentctl/agent/large", "agentctl/agent/repair", "agentctl/agent/rpc", "agentctl/agent/script",
		"agentctl/handler/delivery", "agentctl/handler/target", "agentctl/rpcclient",
	}, "to be in the cluster has nothing to do with events"},
	{"agentctl/agent/peers", []string{
		"agentctl/agent/config", "agentctl/agent/large", "agentctl/agent/repair", "agentctl/agent/rpc", "agentctl/handler/journal",
		"agentctl/handler/delivery", "agentctl/rpcclient", "go.etcd.io/bbolt",
	}, "who is a peer is found by queries, and has nothing to do with events"},
	{"agentctl/agent/repair", []string{
		"github.com/hashicorp/serf/", "github.com/hashicorp/memberlist", "agentctl/agent/link", "agentctl/rpcclient",
	}, "repair is about journals, and does not know how peers are found and reached"},
	{"agentctl/cmd/agentctl/quick", []string{
		"syscall", "os", "io", "errors", "strings", "strconv", "time", "reflect", "net", "fmt", "flag", "context", "crypto",
		"github.com/", "agentctl/agent/", "agentctl/handler", "agentctl/rpcclient",
	}, "it is to be initialised before all that takes its time"},
	{"agentctl/cmd/agentctl", []string{
		"agentctl/agent/memnet", "agentctl/scripts/", "testing",
	}, "the network in memory and other helpers are for tests and simulations"},
}

func TestPackagesDoNotReachWhatIsNotTheirs(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range packages(t) {
		for _, r := range unreachable {
			if !below(p.ImportPath, r.pkg) {
				continue
			}
			seen[r.pkg] = true
			for _, dep := range p.Deps {
				if name, ours := strings.CutPrefix(dep, module); ours && slices.Contains(tools, name) {
					continue
				}
				if slices.ContainsFunc(r.never, func(never string) bool { return below(dep, never) }) {
					t.Errorf("%s imports %s, itself or through others: %s", p.ImportPath, dep, r.why)
				}
			}
		}
	}
	for _, r := range unreachable {
		if !seen[r.pkg] {
			t.Errorf("there is no package %s: the rule checks nothing", r.pkg)
		}
	}
}
