package testkit

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// Ask sends a request, by a client, to the HTTP API at a base URL. It returns the status, and
// the text of an error. An answer that is 2xx is read into v, which may be nil.
// A body is JSON unless the header, a list of names and values, says otherwise.
func Ask(t *testing.T, client *http.Client, base, method, path, body string, v any, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if typ := resp.Header.Get("Content-Type"); typ != "application/json" && path != "/metrics" {
		t.Errorf("%s %s answers %q, want JSON", method, path, typ)
	}
	well := resp.StatusCode/100 == 2
	if well && v == nil {
		return resp.StatusCode, ""
	}
	var report struct {
		Error string `json:"error"`
	}
	if !well {
		v = &report
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		t.Fatalf("%s %s: %v: %s", method, path, err, data)
	}
	if !well && report.Error == "" {
		t.Errorf("%s %s: status %d with no error", method, path, resp.StatusCode)
	}
	return resp.StatusCode, report.Error
}
