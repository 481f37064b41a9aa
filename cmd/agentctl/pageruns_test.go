//go:build linux

package main

import (
	"encoding/json"
	"net/http"
	"strings"
)

// readmeRun is how TestReadmeCommands runs a block of README. The blocks share a
// small world, see readmeWorld: the usual ports are free in it, at 10.0.0.5 there
// is another agent, and a gateway listens at Kong's port.
type readmeRun struct {
	at   int    // blocks are run in this order
	want string // what its output has to have, a regular expression
	// stays says that the block runs until it is stopped: once want has come, or
	// behind the block with the number until.
	stays  bool
	until  int
	before func(w *readmeWorld) // prepares the world
	// own gives what stands in place of texts of the block which are those of the
	// page's own example, such as an event's ID.
	own func(w *readmeWorld) *strings.Replacer
	// then is run behind it, to see what it did; want is looked for in both.
	then string
}

// readmeRuns are the blocks of README that are run, by their text.
var readmeRuns = map[string]readmeRun{
	`go run ./cmd/agentctl dev`: {
		at: 10, stays: true, until: 20, want: `(?s)3 agents on loopback.*all 3 gateways have`,
	},
	`go run ./cmd/agentctl event kong '{"type":"ENTITY_UPDATED","collection":"apis","primary_key":["id"],"entity":{"id":"1"}}'`: {
		at: 20, want: `Event 'kong' dispatched! Coalescing enabled: true`,
	},
	`CGO_ENABLED=0 go build -o /usr/local/bin/agentctl ./cmd/agentctl`: {
		at: 30, then: "agentctl version", want: `agentctl v`,
	},
	`agentctl agent -retry-join=10.0.0.5 -gateway=http://127.0.0.1:8001/cluster/events/`: {
		at: 40, stays: true, want: `joined the cluster`, before: (*readmeWorld).startPeer,
	},
	`agentctl agent -data-dir=/var/lib/agentctl -retry-join=10.0.0.5`: {
		at: 50, stays: true, want: `(?s)the journal is open.*joined the cluster`,
	},
	`mkdir -p /opt/agentctl && ln -s /usr/local/bin/agentctl /opt/agentctl/serf`: {
		at: 60, then: "/opt/agentctl/serf version", want: `^Serf v0\.7\.0\n`,
	},
	`serf agent -event-handler 'user:kong=agentctl handler -gateway=http://127.0.0.1:8001/cluster/events/'`: {
		at: 70, stays: true, want: `Serf agent running!`,
	},
	`agentctl status`: {
		at: 100, want: `cache: 2 events refused for good: see "agentctl events -target=cache -state=buried"`, before: (*readmeWorld).startGateway1,
	},
	`agentctl events`: {
		at: 110, want: `user:purge +12  buried +/products/17`,
	},
	`agentctl events show 5-1700ea89a702099f`: {
		at: 120, want: `target   cache: buried .*answered 400 Bad Request`, own: (*readmeWorld).buriedID,
	},
	`agentctl replay -target=cache -buried`: {
		at: 130, want: `2 events \(.*\) replayed to cache, all delivered`, before: func(w *readmeWorld) { w.cache.Store(http.StatusOK) },
	},
	"agentctl replay -target=cache -accept-gap\nagentctl replay -target=cache -flush": {
		at: 140, want: `cache`,
	},
	`curl -H 'Content-Type: application/json' -d '{"type":"ENTITY_UPDATED","collection":"apis","entity":{"id":"7"}}' \
  'http://127.0.0.1:7374/v1/events?name=kong'`: {
		at: 150, want: `"id": "\d+-[0-9a-f]{16}"`,
	},
	`agentctl event -wait=10s kong '{"type":"ENTITY_UPDATED","collection":"apis","primary_key":["id"],"entity":{"id":"1"}}'`: {
		at: 155, want: `Applied by the one node there is after `,
	},
	"agentctl health\nagentctl health -live -timeout=2s": {
		at: 160, want: `^ready\nok\n$`,
	},
	`agentctl event purge https://www.example.org/products/17`: {
		at: 161, want: `Event 'purge' dispatched!`,
	},
	`agentctl event ban '{"host": "www.example.org", "regex": "^/products/"}'
agentctl event ban '{"tags": ["product-17", "sale"]}'
agentctl event kong-cache '{"key": "services:3f1c"}'
agentctl event -payload-file=kong.json kong-config`: {
		at: 162, want: `(?s)'ban' dispatched!.*'ban' dispatched!.*'kong-cache' dispatched!.*'kong-config' dispatched!`,
		before: func(w *readmeWorld) { w.shell(`echo '{"_format_version": "3.0"}' > kong.json`) },
	},
	`agentctl event -payload-file=routes.json kong`: {
		at: 163, want: `Event 'kong' dispatched!`, before: func(w *readmeWorld) { w.shell(`seq 5000 > routes.json`) },
	},
	"agentctl check -example > agent.json\nagentctl check -config-file=agent.json\nagentctl agent -config-file=agent.json": {
		at: 170, stays: true, want: `(?s)gateway-1.*agent is running`, before: (*readmeWorld).stopGateway1,
	},
}

// gateway1 is the configuration of the agent that the page shows the state of.
const gateway1 = `{"node_name": "gateway-1", "targets": [
	{"name": "kong", "preset": "kong", "url": "http://127.0.0.1:8001"},
	{"name": "cache", "events": "user:purge", "url": "http://127.0.0.1:6081/", "flush": {"body": "all"}}]}`

// startGateway1 starts it, and has some events delivered and two refused.
func (w *readmeWorld) startGateway1() {
	w.cache.Store(http.StatusBadRequest)
	w.shell("cat > gateway1.json <<'END'\n" + gateway1 + "\nEND")
	w.gateway1 = w.start("agentctl agent -config-file=gateway1.json", "agent is running")
	w.shell("agentctl event kong '{}' && agentctl event -coalesce=false purge /products/17 && agentctl event -coalesce=false purge /products/18")
	w.await("two burials", func() bool { return len(w.buried()) == 2 })
}

func (w *readmeWorld) stopGateway1() { w.stop(w.gateway1) }

// buried are the IDs of the events that were refused.
func (w *readmeWorld) buried() (ids []string) {
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

func (w *readmeWorld) buriedID() *strings.Replacer {
	return strings.NewReplacer("5-1700ea89a702099f", w.buried()[0])
}
