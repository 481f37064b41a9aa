package target

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Each page that tells of Retry-After tells its limit.
func TestPagesTellTheLimitOfRetryAfter(t *testing.T) {
	t.Parallel()
	limit := fmt.Sprintf("%d minutes", maxRetryAfter/time.Minute)
	for page, of := range map[string]string{
		"README.md":                 "`Retry-After`",
		"agent/ops/README.md":       "| `retry-after` |",
		"handler/target/PRESETS.md": "`Retry-After`",
	} {
		text, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(page)))
		if err != nil {
			t.Fatal(err)
		}
		told := 0
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, of) {
				if told++; !strings.Contains(line, limit) {
					t.Errorf("%s: the limit of %s is missing: %s", page, limit, line)
				}
			}
		}
		if told == 0 {
			t.Errorf("%s does not tell of %s", page, of)
		}
	}
}
