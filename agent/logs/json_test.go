package logs

import (
	"encoding/json"
	"testing"
	"unicode"

	"pgregory.net/rapid"
)

// JSON keeps its meaning, and has nothing in it that does not print.
func TestEscapeJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		said := rapid.String().Draw(t, "said") + rapid.SampledFrom([]string{"", "\u202e", "\u009b", "\x7f", "\U000e0041", "\u2028"}).Draw(t, "with")
		data, err := json.MarshalIndent(map[string]string{said: said}, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		escaped := EscapeJSON(string(data))
		for _, r := range escaped {
			if r != '\n' && r != '\t' && !unicode.IsPrint(r) {
				t.Fatalf("%q is in it", r)
			}
		}
		var got map[string]string
		if err := json.Unmarshal([]byte(escaped), &got); err != nil || got[said] != said {
			t.Fatalf("%q became %q (%v)", said, got, err)
		}
	})
}
