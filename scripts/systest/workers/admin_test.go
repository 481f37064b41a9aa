//go:build unix

package workers

import (
	"strings"
	"testing"
)

// TestNginxAdmin makes right and wrong requests to the admin API of a node whose
// agent is away: changes stand, and the answer says that no event was sent.
func TestNginxAdmin(t *testing.T) {
	n, f := soloNode(t)
	const api = `{"id":"a","path":"/a","upstream_url":"http://127.0.0.1/"}`
	for _, test := range []struct {
		method, path, body string
		status             int
		answer             string // part of it
		event              string // what X-Cluster-Event begins with
	}{
		{"POST", "/apis", `{"path":"a","colour":"red"}`, 400, "colour is not a field of this kind; path must be a path", ""},
		{"POST", "/apis", `{`, 400, "not a JSON object", ""},
		{"POST", "/apis", api, 201, `"id":"a"`, "failed: the agent answers nothing"},
		{"POST", "/apis", api, 409, "there is one", ""},
		{"POST", "/apis", strings.Replace(api, `"id":"a",`, "", 1), 201, `"id":"`, "failed: "},
		{"GET", "/apis", "", 200, `"total":2`, ""},
		{"GET", "/apis/a", "", 200, `"path":"\/a"`, ""},
		{"PATCH", "/apis/a", `{"id":"b"}`, 400, "cannot be changed", ""},
		{"PATCH", "/apis/a", `{"path":"/b"}`, 200, `"path":"\/b"`, "failed: "},
		{"PATCH", "/apis/none", `{"path":"/b"}`, 404, "not found", ""},
		{"DELETE", "/apis/a", "", 204, "", "failed: "},
		{"DELETE", "/apis/a", "", 404, "not found", ""},
		{"GET", "/apis/a", "", 404, "not found", ""},
		{"DELETE", "/apis", "", 405, "not at this path", ""},
		{"PUT", "/apis/a", "", 405, "not at this path", ""},
		{"GET", "/consumers", "", 200, `{"total":0,"data":[]}`, ""},
		{"GET", "/colours", "", 404, `try \/apis`, ""},
	} {
		a, err := request(test.method, "http://"+n.admin+test.path, test.body)
		if err != nil {
			t.Fatal(err)
		}
		event := a.header.Get("X-Cluster-Event")
		if a.status != test.status || !strings.Contains(string(a.body), test.answer) ||
			!strings.HasPrefix(event, test.event) || (test.event == "") != (event == "") {
			t.Errorf("%s %s %s: %d %q, event %q; want %d %q, %q", test.method, test.path, test.body,
				a.status, a.body, event, test.status, test.answer, test.event)
		}
	}
	f.fault(t, "500")
	for _, method := range []string{"GET", "PATCH", "DELETE"} {
		a, err := request(method, "http://"+n.admin+"/apis/a", "{}")
		if err != nil || a.status != 500 || !strings.Contains(string(a.body), "the database answers 500") {
			t.Errorf("%s while the database is down: %v, %d: %s", method, err, a.status, a.body)
		}
	}
}
