//go:build unix

package workers

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/loopback"
)

// TestNginxLua runs the unit tests of the gateway's Lua files, inside nginx.
func TestNginxLua(t *testing.T) {
	needNginx(t)
	addr := loopback.Addr()
	newNginx(t, "tests.conf", addr, "TESTS="+addr)
	a, err := request("GET", "http://"+addr+"/", "")
	if err != nil {
		t.Fatal(err)
	}
	var list struct{ Data []string }
	if err := json.Unmarshal(a.body, &list); err != nil || len(list.Data) == 0 {
		t.Fatalf("no list of tests: %v: %s", err, a.body)
	}
	for _, name := range list.Data {
		t.Run(name, func(t *testing.T) {
			a, err := request("GET", "http://"+addr+"/"+name, "")
			if err != nil {
				t.Fatal(err)
			}
			if a.status != http.StatusOK {
				var failed struct{ Message string }
				json.Unmarshal(a.body, &failed) // or it is no JSON
				t.Errorf("%s\n%s", a.body, failed.Message)
			}
		})
	}
}

// soloNode starts a node whose agent's place the test takes.
func soloNode(t *testing.T) (*fleetNode, *fleet) {
	t.Helper()
	f := newNginxFleet(t, fleetSetup{publish: "http"})
	n := &fleetNode{name: "solo", admin: loopback.Addr(), proxy: loopback.Addr()}
	nobody := loopback.Addr()
	n.startGateway(t, f, nobody, nobody)
	return n, f
}

// fault has the database fail with a status, or work again for "null".
func (f *fleet) fault(t *testing.T, status string) {
	t.Helper()
	a, err := request("PUT", "http://"+f.database+"/-/fault", `{"status":`+status+`}`)
	if err != nil || a.status != http.StatusNoContent {
		t.Fatalf("the database: %v, %d: %s", err, a.status, a.body)
	}
}

// TestNginxEndpoint makes the requests that a Kong's agent makes, and wrong ones.
func TestNginxEndpoint(t *testing.T) {
	n, f := soloNode(t)
	const updated = `{"type":"ENTITY_UPDATED","collection":"apis","primary_key":["id"],"entity":{"id":"a","path":"/a"}}`
	for _, test := range []struct {
		name, contentType, body string
		fault                   string // of the database
		status                  int
	}{
		{"an update", "application/json", updated, "null", 200},
		{"lower case", "application/json", strings.Replace(updated, "ENTITY_UPDATED", "entity_updated", 1), "null", 200},
		{"a type that nobody knows", "application/json", `{"type":"something"}`, "null", 200},
		{"a type that nobody knows, and the rest as of one", "application/json",
			`{"type":"something","collection":"apis","entity":7,"purge":true}`, "null", 200},
		{"a member event with raw tabs and newlines", "application/json",
			"{\"type\":\"member-join\",\"entity\": \"a\t10.0.0.1:7946\t\t\nb\t10.0.0.2:7946\t\t\"}", "null", 200},
		{"a member event with escapes", "application/json", `{"type":"member-failed","entity":"b\t10.0.0.2:7946\t\t\n"}`, "null", 200},
		{"a creation while the database is down", "application/json",
			strings.Replace(updated, "UPDATED", "CREATED", 1), "500", 200},

		{"no type", "application/json", `{"collection":"apis"}`, "null", 400},
		{"not JSON", "application/json", `{"type":`, "null", 400},
		{"not an object", "application/json", `"type"`, "null", 400},
		{"an empty body", "application/json", ``, "null", 400},
		{"no such collection", "application/json", strings.Replace(updated, "apis", "colours", 1), "null", 400},
		{"no entity", "application/json", `{"type":"ENTITY_DELETED","collection":"apis"}`, "null", 400},
		{"an entity without what its hooks need", "application/json",
			`{"type":"ENTITY_DELETED","collection":"consumers","entity":{"id":"a"}}`, "null", 400},
		{"an entity without an id", "application/json", strings.Replace(updated, `"id":"a"`, `"id":""`, 1), "null", 400},
		{"members that are no text", "application/json", `{"type":"member-join","entity":{}}`, "null", 400},
		{"no content type", "", updated, "null", 415},
		{"an update while the database is down", "application/json", updated, "500", 500},
		{"a join while the database is down", "application/json", `{"type":"member-join","entity":"a\t10.0.0.1:7946\t\t\n"}`, "500", 500},
	} {
		f.fault(t, test.fault)
		req, err := http.NewRequest("POST", "http://"+n.admin+"/cluster/events/", strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		if test.contentType != "" {
			req.Header.Set("Content-Type", test.contentType)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != test.status {
			t.Errorf("%s: %d, want %d", test.name, res.StatusCode, test.status)
		}
	}
	f.fault(t, "null")
	n.rows(t, map[string]string{"a": "alive at 10.0.0.1:7946", "b": "failed at 10.0.0.2:7946"})
}

// rows waits until the admin API of a node shows these rows of nodes.
func (n *fleetNode) rows(t *testing.T, want map[string]string) {
	t.Helper()
	testkit.WaitFor(t, fmt.Sprintf("the rows of nodes are %v", want), func() bool {
		a, err := request("GET", "http://"+n.admin+"/cluster", "")
		if err != nil {
			return false
		}
		var list struct {
			Data []struct{ ID, Address, Status string }
		}
		if json.Unmarshal(a.body, &list) != nil || len(list.Data) != len(want) {
			return false
		}
		for _, row := range list.Data {
			if want[row.ID] != row.Status+" at "+row.Address {
				return false
			}
		}
		return true
	})
}
