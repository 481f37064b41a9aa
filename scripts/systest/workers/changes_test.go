//go:build unix

package workers

import (
	"fmt"
	"net/http"
	"testing"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
)

// fleetChange is a change of an entity, and what every worker of every node
// serves before and after it.
type fleetChange struct {
	method, path, body string
	look               look
	before, after      string
}

// lifeOfEntities has each kind of entity created, updated and deleted. name
// keeps it apart from others.
func lifeOfEntities(origin, name string) []fleetChange {
	path := "/" + name
	moved := path + "-moved"
	plain, tagged := look{path: path}, look{path: path, key: name}
	other := look{path: path, key: name + "-2"}
	api := fmt.Sprintf(`{"id":%q,"path":%q,"upstream_url":"http://%s/one"}`, name, path, origin)
	consumer := fmt.Sprintf(`{"id":%q,"username":"it's \"Ann\"","key":%q}`, name, name)
	plugin := fmt.Sprintf(`{"id":%q,"api_id":%q,"header":"X-Tag","value":"a"}`, name, name)
	const one, two = "200 the origin's /one", "200 the origin's /two"
	const ann, bob = ` X-Consumer=it's "Ann"`, ` X-Consumer=Bob`
	return []fleetChange{
		{"POST", "/apis", api, plain, "404", one},
		{"PATCH", "/apis/" + name, `{"upstream_url":"http://` + origin + `/two"}`, plain, one, two},

		{"POST", "/consumers", consumer, tagged, "401", two + ann},
		{"PATCH", "/consumers/" + name, `{"username":"Bob"}`, tagged, two + ann, two + bob},
		{"POST", "/plugins", plugin, tagged, two + bob, two + bob + " X-Tag=a"},
		{"PATCH", "/plugins/" + name, `{"value":"b"}`, tagged, two + bob + " X-Tag=a", two + bob + " X-Tag=b"},
		{"DELETE", "/plugins/" + name, "", tagged, two + bob + " X-Tag=b", two + bob},
		// A key that is not the consumer's any more, and one that is from now on.
		{"PATCH", "/consumers/" + name, `{"key":"` + name + `-2"}`, tagged, two + bob, "401"},
		{"PATCH", "/consumers/" + name, `{"username":"Ann"}`, other, two + bob, two + " X-Consumer=Ann"},
		{"DELETE", "/consumers/" + name, "", other, two + " X-Consumer=Ann", "401"},

		{"PATCH", "/apis/" + name, `{"path":"` + moved + `"}`, look{path: moved}, two, two},
		{"PATCH", "/apis/" + name, `{"path":"` + path + `2"}`, look{path: moved}, two, "404"},
		{"DELETE", "/apis/" + name, "", look{path: path + "2"}, two, "404"},
	}
}

// TestNginxChanges has every kind of entity created, updated and deleted at each
// node of a fleet: every worker of every node has the old value in its cache, and
// then serves the new one.
func TestNginxChanges(t *testing.T) {
	needNginx(t)
	for _, publish := range []string{"fork", "http"} {
		t.Run(publish, func(t *testing.T) {
			t.Parallel()
			setup := fleetSetup{nodes: 3, publish: publish, profile: "lan"}
			if publish == "fork" {
				setup.serf = proc.BuildAs(t, "serf")
			}
			f := newNginxFleet(t, setup)
			for _, n := range f.nodes {
				for _, c := range lifeOfEntities(f.origin, n.name) {
					serves(t, f.nodes, c.look, c.before)
					n.change(t, c.method, c.path, c.body)
					serves(t, f.nodes, c.look, c.after)
				}
			}
		})
	}
}

// TestNginxChangesInTrouble has the same done while nginx of another node is
// reloaded or restarted, or a worker of it killed, or its agent killed and restarted. In
// the short form each trouble meets every second change, and the next trouble the others.
func TestNginxChangesInTrouble(t *testing.T) {
	f := newNginxFleet(t, fleetSetup{nodes: 3, publish: "http", profile: "lan"})
	troubles := []struct {
		name          string
		before, after func(*fleetNode, *testing.T) // the change
	}{
		{"nginx is reloaded", (*fleetNode).reload, func(*fleetNode, *testing.T) {}},
		{"nginx is restarted", (*fleetNode).stop, (*fleetNode).start},
		{"a worker is killed", (*fleetNode).killWorker, func(*fleetNode, *testing.T) {}},
		{"the agent is killed", func(n *fleetNode, _ *testing.T) { n.agent.Kill() }, (*fleetNode).startAgent},
	}
	for round, trouble := range troubles {
		for i, c := range lifeOfEntities(f.origin, fmt.Sprintf("round%d", round)) {
			serves(t, f.nodes, c.look, c.before)
			n, troubled := f.nodes[i%3], f.nodes[(i+1)%3]
			inTrouble := testkit.Long() || (i+round)%2 == 0
			if inTrouble {
				trouble.before(troubled, t)
			}
			n.change(t, c.method, c.path, c.body)
			if inTrouble {
				trouble.after(troubled, t)
			}
			serves(t, f.nodes, c.look, c.after)
			if t.Failed() {
				t.Fatalf("%s, %s %s", trouble.name, c.method, c.path)
			}
		}
	}
}

// TestNginxUnpublished changes an entity behind the fleet's back: no worker
// notices. So what the other tests see is the events' doing.
func TestNginxUnpublished(t *testing.T) {
	f := newNginxFleet(t, fleetSetup{nodes: 1, publish: "http", profile: "lan"})
	f.nodes[0].change(t, "POST", "/apis", fmt.Sprintf(`{"id":"a","path":"/a","upstream_url":"http://%s/one"}`, f.origin))
	told(t, f.nodes)
	delivered(t, f.nodes, "user:kong")
	serves(t, f.nodes, look{path: "/a"}, "200 the origin's /one")
	f.behind(t, "a", "two")
	for range 3 {
		serves(t, f.nodes, look{path: "/a"}, "200 the origin's /one")
	}
}

// behind has an api lead to another path of the origin, by a change in the
// database that no event tells of.
func (f *fleet) behind(t *testing.T, api, path string) {
	t.Helper()
	a, err := request("PATCH", "http://"+f.database+"/apis/"+api, `{"upstream_url":"http://`+f.origin+`/`+path+`"}`)
	if err != nil || a.status != http.StatusOK {
		t.Fatalf("the database: %v, %d: %s", err, a.status, a.body)
	}
}
