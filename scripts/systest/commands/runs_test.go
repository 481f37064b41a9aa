//go:build linux

package commands

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"agentctl/scripts/pages"
)

// root is the folder of the module, in which the pages are.
const root = "../../.."

// The pages whose commands are run.
const (
	readmePage   = "README.md"
	settingsPage = "agent/config/README.md"
	presetsPage  = "handler/target/PRESETS.md"
	opsPage      = "agent/ops/README.md"
	commandsPage = "cmd/agentctl/README.md"
)

// pageRun is how TestPageCommands runs a block of a page. The blocks share a small
// world, see pageWorld: the usual ports are free in it, at 10.0.0.5 there is another
// agent, and a gateway listens at Kong's port.
type pageRun struct {
	page string // that has the block; others may have it too
	at   int    // blocks are run in this order
	want string // what its output has to have, a regular expression
	// stays says that the block runs until it is stopped: once want has come, or
	// behind the block with the number until.
	stays  bool
	until  int
	before func(w *pageWorld) // prepares the world
	// own gives what stands in place of texts of the block which are those of the
	// page's own example, such as an event's ID.
	own func(w *pageWorld) *strings.Replacer
	// then is run behind it, to see what it did; want is looked for in both.
	then string
}

// pageRuns are the blocks that are run, by their text.
var pageRuns = map[string]pageRun{
	`go run ./cmd/agentctl dev`: {
		page: readmePage, at: 10, stays: true, until: 20, want: `(?s)3 agents on loopback.*all 3 gateways have`,
	},
	`go run ./cmd/agentctl event kong '{"type":"ENTITY_UPDATED","collection":"apis","primary_key":["id"],"entity":{"id":"1"}}'`: {
		page: readmePage, at: 20, want: `Event 'kong' dispatched! Coalescing enabled: true`,
	},
	`CGO_ENABLED=0 go build -o /usr/local/bin/agentctl ./cmd/agentctl`: {
		page: readmePage, at: 30, then: "agentctl version", want: `agentctl v`,
	},
	`agentctl agent -retry-join=10.0.0.5 -gateway=http://127.0.0.1:8001/cluster/events/`: {
		page: readmePage, at: 40, stays: true, want: `joined the cluster`, before: (*pageWorld).startPeer,
	},
	`agentctl agent -data-dir=/var/lib/agentctl -retry-join=10.0.0.5`: {
		page: settingsPage, at: 50, stays: true, want: `(?s)the journal is open.*joined the cluster`,
	},
	`mkdir -p /opt/agentctl && ln -s /usr/local/bin/agentctl /opt/agentctl/serf`: {
		page: readmePage, at: 60, then: "/opt/agentctl/serf version", want: `^Serf v0\.7\.0\n`,
	},
	`serf agent -event-handler 'user:kong=agentctl handler -gateway=http://127.0.0.1:8001/cluster/events/'`: {
		page: readmePage, at: 70, stays: true, want: `Serf agent running!`,
	},
	`agentctl status`: {
		page: opsPage, at: 100, want: `cache: 2 events refused for good: see "agentctl events -target=cache -state=buried"`, before: (*pageWorld).startGateway1,
	},
	`agentctl status -cluster`: {
		page: opsPage, at: 104, want: `^cluster  1 member as gateway-1 sees it: 0 well, 1 NOT WELL`,
	},
	`agentctl top`: { // its output is no terminal
		page: opsPage, at: 105, want: `^cluster  1 member as gateway-1 sees it`,
	},
	`agentctl events`: {
		page: opsPage, at: 110, want: `user:purge +12  buried +/products/17`,
	},
	`agentctl events show 5-1700ea89a702099f`: {
		page: opsPage, at: 120, want: `target   cache: buried .*answered 400 Bad Request`, own: (*pageWorld).buriedID,
	},
	`agentctl replay -target=cache -buried`: {
		page: opsPage, at: 130, want: `2 events \(.*\) replayed to cache, all delivered`, before: func(w *pageWorld) { w.cache.Store(http.StatusOK) },
	},
	`agentctl events dismiss -target=cache -all`: {
		page: opsPage, at: 132, want: `cache: 0 burials dismissed, 0 left`,
	},
	`agentctl replay -target=kong -now`: {
		page: opsPage, at: 135, want: `nothing waits for kong|kong is tried at once; waiting: [1-9]`,
	},
	`agentctl replay -target=cache -accept-gap`: {
		page: opsPage, at: 140, want: `cache lacks nothing: there was no gap to accept`,
	},
	`agentctl replay -target=cache -flush`: {
		page: opsPage, at: 145, want: `cache is to be flushed`,
	},
	`curl -H 'Content-Type: application/json' -d '{"type":"ENTITY_UPDATED","collection":"apis","entity":{"id":"7"}}' \
  'http://127.0.0.1:7374/v1/events?name=kong'`: {
		page: opsPage, at: 150, want: `"id": "\d+-[0-9a-f]{16}"`,
	},
	`agentctl event -wait=10s kong '{"type":"ENTITY_UPDATED","collection":"apis","primary_key":["id"],"entity":{"id":"1"}}'`: {
		page: commandsPage, at: 155, want: `Applied by the one node there is after `,
	},
	`agentctl event -durable=2 kong '{"type":"ENTITY_UPDATED","collection":"apis","primary_key":["id"],"entity":{"id":"2"}}'`: {
		page: commandsPage, at: 180, want: `Event \d+-[0-9a-f]{16} is on the disks of 2 nodes: node1, node2\n`, before: (*pageWorld).startDisks,
	},
	`curl -d '{"name":"kong","payload":"{}"}' -H 'Content-Type: application/json' 'http://127.0.0.1:7374/v1/events?durable=2&wait=5s'`: {
		page: opsPage, at: 181, want: `(?s)"have": 2,\s+"nodes": \[\s+"node1",\s+"node2"\s+\]`,
	},
	`printf '{"name":"purge","payload":"/products/%s"}\n' 17 18 | curl --data-binary @- -H 'Content-Type: application/x-ndjson' http://127.0.0.1:7374/v1/events`: {
		page: opsPage, at: 182, want: `(?s)"taken": 2,.*"ids": \[\s+"\d+-[0-9a-f]{16}",\s+"\d+-[0-9a-f]{16}"\s+\]`,
	},
	`printf '%s\n' /products/17 /products/18 /products/19 | agentctl event -lines=- purge`: {
		page: commandsPage, at: 183, want: `3 events published; the first is \d+-[0-9a-f]{16}, the last \d+-[0-9a-f]{16}\n`,
	},
	"agentctl health\nagentctl health -live -timeout=2s": {
		page: opsPage, at: 160, want: `^ready\nok\n$`,
	},
	`agentctl event purge https://www.example.org/products/17`: {
		page: presetsPage, at: 161, want: `Event 'purge' dispatched!`,
	},
	`agentctl event ban '{"host": "www.example.org", "regex": "^/products/"}'
agentctl event ban '{"tags": ["product-17", "sale"]}'
agentctl event kong-cache '{"key": "services:3f1c"}'
agentctl event -payload-file=kong.json kong-config`: {
		page: presetsPage, at: 162, want: `(?s)'ban' dispatched!.*'ban' dispatched!.*'kong-cache' dispatched!.*'kong-config' dispatched!`,
		before: func(w *pageWorld) { w.shell(`echo '{"_format_version": "3.0"}' > kong.json`) },
	},
	`agentctl event -dry-run kong`: {
		page: commandsPage, at: 156, want: `(?s)Event 'kong' would go to .*; nothing is published\n.*gateway-1 +answered +kong\n`,
	},
	`agentctl event -payload-file=routes.json kong`: {
		page: commandsPage, at: 163, want: `Event 'kong' dispatched!`, before: func(w *pageWorld) { w.shell(`seq 5000 > routes.json`) },
	},
	"agentctl check -example > agent.json\nagentctl check -config-file=agent.json\nagentctl agent -config-file=agent.json": {
		page: settingsPage, at: 170, stays: true, want: `(?s)gateway-1.*agent is running`, before: (*pageWorld).stopGateway1,
	},
}

// TestPageCommandsAreRunOrSayWhyNot: each block of commands, on any page, is run by
// TestPageCommands as it is printed, or says why not.
func TestPageCommandsAreRunOrSayWhyNot(t *testing.T) {
	t.Parallel()
	printed := map[string]bool{} // page and text
	all, err := pages.All(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		for _, b := range p.Blocks {
			printed[p.Path+b.Text] = true
			_, run := pageRuns[b.Text]
			where := fmt.Sprintf("%s:%d: the block\n%s\n", p.Path, b.Line, b.Text)
			switch {
			case run && b.NotRun != "":
				t.Errorf("%sis in pageRuns, and its comment says that it is not run: remove the comment", where)
			case b.IsCommands() && !run && b.NotRun == "":
				t.Errorf("%sis run by no test. Add it to pageRuns in scripts/systest/commands/runs_test.go, with the output that it must have. If no test can run it, put this line before it, with the reason:\n<!-- not run here: REASON -->", where)
			case !b.IsCommands() && b.NotRun != "":
				t.Errorf("%shas a comment that says why it is not run, but begins with no command that commandLine in scripts/pages/command.go knows: add the command there", where)
			}
		}
	}
	for text, r := range pageRuns {
		if !printed[r.page+text] {
			t.Errorf("pageRuns has a block that %s has not, or not any more: change it there, too:\n%s", r.page, text)
		}
	}
}

// gateway1 is the configuration of the agent that the page shows the state of.
const gateway1 = `{"node_name": "gateway-1", "targets": [
	{"name": "kong", "preset": "kong", "url": "http://127.0.0.1:8001"},
	{"name": "cache", "events": "user:purge", "url": "http://127.0.0.1:6081/", "flush": {"body": "all"}}]}`

// startGateway1 starts it, and has some events delivered and two refused.
func (w *pageWorld) startGateway1() {
	w.cache.Store(http.StatusBadRequest)
	w.shell("cat > gateway1.json <<'END'\n" + gateway1 + "\nEND")
	w.gateway1 = w.start("agentctl agent -config-file=gateway1.json", "agent is running")
	w.shell("agentctl event kong '{}' && agentctl event -coalesce=false purge /products/17 && agentctl event -coalesce=false purge /products/18")
	w.await("two burials", func() bool { return len(w.buried()) == 2 })
}

func (w *pageWorld) stopGateway1() { w.stop(w.gateway1) }

// startDisks starts two agents that keep their journals on disks.
func (w *pageWorld) startDisks() {
	for _, args := range []string{
		"-node=node1 -bind=127.0.0.1 -data-dir=/var/lib/disk1",
		"-node=node2 -bind=127.0.0.1:7947 -data-dir=/var/lib/disk2 -rpc-addr=127.0.0.1:7375 -http-addr=off -join=127.0.0.1:7946",
	} {
		p := w.start("agentctl agent -event-handler=user:none=true "+args, "agent is running")
		w.t.Cleanup(func() { w.stop(p) })
	}
	w.await("node2 as a member", func() bool { return strings.Contains(w.shell("agentctl members"), "node2") })
}

// buried are the IDs of the events that were refused.
func (w *pageWorld) buried() (ids []string) {
	dec := json.NewDecoder(strings.NewReader(w.shell("agentctl events -state=buried -format=json")))
	for dec.More() {
		var e struct{ ID string }
		if err := dec.Decode(&e); err != nil {
			w.t.Fatal(err)
		}
		ids = append(ids, e.ID)
	}
	return ids
}

func (w *pageWorld) buriedID() *strings.Replacer {
	return strings.NewReplacer("5-1700ea89a702099f", w.buried()[0])
}
