package target

import (
	"net/http"
	"testing"

	"agentctl/scripts/testkit"
)

// The reason of a redirect says where it leads, without a password and in one line.
func TestARedirectsReason(t *testing.T) {
	t.Parallel()
	for location, want := range map[string]string{
		"https://gw:8444/cluster/events/": "answered 301 Moved Permanently, a redirect to https://gw:8444/cluster/events/, which is not followed: moved",
		"/login?for=s3cret":               "answered 301 Moved Permanently, a redirect to /login?..., which is not followed: moved",
		"https://u:s3cret@gw/#token=a@b":  "answered 301 Moved Permanently, a redirect to https://u:xxxxx@gw/#..., which is not followed: moved",
		"http://u:s3cret@gw/":             "answered 301 Moved Permanently, a redirect to http://u:xxxxx@gw/, which is not followed: moved",
		"/\u202e":                         `answered 301 Moved Permanently, a redirect to /\u202e, which is not followed: moved`,
		"":                                "answered 301 Moved Permanently: moved",
	} {
		s := testkit.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
			if location != "" {
				w.Header()["Location"] = []string{location}
			}
			w.WriteHeader(http.StatusMovedPermanently)
			w.Write([]byte("moved"))
		})
		testkit.Want(t, "reason", fails(t, newPoster(t, Target{URL: s.URL})).Error(), want)
	}
}
