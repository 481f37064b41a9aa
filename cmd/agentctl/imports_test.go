package main

import (
	"encoding/json"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// importRules say what a package, with all that it imports in turn, must not
// contain. A name ending in / stands for all packages below it.
var importRules = []struct {
	pkg   string // and packages below it
	never []string
	why   string
}{
	{"agentctl/handler", []string{
		"github.com/hashicorp/serf/", "github.com/hashicorp/memberlist", "github.com/mitchellh/cli",
		"github.com/hashicorp/cli", "agentctl/agent", "agentctl/rpcclient", "agentctl/cmd/",
	}, "an event's way into a gateway knows nothing of serf"},
	{"agentctl/rpcclient", []string{
		"github.com/hashicorp/serf/", "github.com/hashicorp/memberlist", "github.com/mitchellh/cli",
		"github.com/hashicorp/cli", "agentctl/agent", "agentctl/handler", "agentctl/cmd/",
	}, "a client of the RPC needs the protocol and nothing else"},
	{"agentctl/agent", []string{
		"github.com/mitchellh/cli", "agentctl/cmd/",
	}, "the agent runs without a command line"},
	{"agentctl/agent/config", []string{
		"github.com/hashicorp/", "agentctl/agent/link", "agentctl/agent/rpc", "agentctl/agent/repair", "agentctl/handler/journal", "agentctl/rpcclient",
	}, "a configuration is read without what will run with it"},
	{"agentctl/cmd/agentctl/quick", []string{
		"os", "strings", "time", "reflect", "net", "fmt", "flag", "context", "crypto", "github.com/", "agentctl/rpcclient",
	}, "it is to be initialised before all that takes its time"},
	{"agentctl/agent/link", []string{
		"github.com/hashicorp/serf/", "go.etcd.io/bbolt", "agentctl/agent/rpc", "agentctl/handler", "agentctl/rpcclient",
	}, "links carry bytes, and know memberlist's transport and nothing of serf or events"},
	{"agentctl/agent/large", []string{
		"github.com/hashicorp/serf/", "github.com/hashicorp/memberlist", "agentctl/agent/link", "agentctl/agent/repair", "agentctl/rpcclient",
	}, "large is about what stands for an event, and does not know how that travels"},
	{"agentctl/agent/api", []string{
		"github.com/", "golang.org/", "agentctl/agent", "agentctl/rpcclient", "agentctl/handler/delivery", "agentctl/handler/journal",
		"agentctl/handler/target",
	}, "messages are plain structs, which a client reads without the agent"},
	{"agentctl/agent/memnet", []string{
		"github.com/hashicorp/serf/", "agentctl/agent/", "agentctl/handler", "agentctl/rpcclient",
	}, "a network in memory carries bytes"},
	{"agentctl/cmd/agentctl", []string{
		"agentctl/agent/memnet",
	}, "the network in memory is for tests and simulations"},
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
}

// leaves are packages that every other may import, and that import none of
// ours.
var leaves = []string{"agentctl/agent/logs", "agentctl/handler/backoff", "agentctl/handler/queue", "agentctl/handler/varint"}

// direct says what no package may import itself, but for those named.
var direct = []struct {
	imported string
	only     []string // these packages and those below them
}{
	{"github.com/mitchellh/cli", []string{"agentctl/cmd/agentctl"}},
	{"github.com/hashicorp/serf/cmd/serf/command", []string{"agentctl/cmd/agentctl"}},
	{"agentctl/rpcclient", []string{"agentctl/cmd/agentctl", "agentctl/scripts/bench"}},
	{"agentctl/agent/ops", []string{"agentctl/agent"}},
	{"agentctl/agent", []string{"agentctl/cmd/agentctl", "agentctl/scripts/bench"}},
}

func TestImportsFollowTheData(t *testing.T) {
	type pkg struct {
		ImportPath    string
		Imports, Deps []string
	}
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", "agentctl/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	below := func(path, root string) bool {
		root = strings.TrimSuffix(root, "/")
		return path == root || strings.HasPrefix(path, root+"/")
	}
	seen, listed := map[string]bool{}, map[string]bool{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		listed[p.ImportPath] = true
		for _, r := range importRules {
			if !below(p.ImportPath, r.pkg) {
				continue
			}
			seen[r.pkg] = true
			for _, dep := range p.Deps {
				if slices.Contains(leaves, dep) {
					continue
				}
				for _, never := range r.never {
					if below(dep, never) {
						t.Errorf("%s imports %s, itself or through others: %s", p.ImportPath, dep, r.why)
					}
				}
			}
		}
		for _, dep := range p.Deps {
			if slices.Contains(leaves, p.ImportPath) && below(dep, "agentctl") {
				t.Errorf("%s imports %s, although all may import it", p.ImportPath, dep)
			}
		}
		for _, d := range direct {
			for _, imp := range p.Imports {
				allowed := func(root string) bool { return below(p.ImportPath, root) }
				if imp == d.imported && !slices.ContainsFunc(d.only, allowed) {
					t.Errorf("%s imports %s, which only %s may", p.ImportPath, imp, strings.Join(d.only, ", "))
				}
			}
		}
	}
	for _, leaf := range leaves {
		if !listed[leaf] {
			t.Errorf("there is no package %s: the rule checks nothing", leaf)
		}
	}
	for _, r := range importRules {
		if !seen[r.pkg] {
			t.Errorf("there is no package %s: the rule checks nothing", r.pkg)
		}
	}
}
