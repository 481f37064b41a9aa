package api

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Other people's programs read these messages, so each is compared byte for byte
// with what it was: once with nothing in it, and once with all of it.
func TestMessagesStayAsTheyAre(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile("testdata/messages.txt")
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, m := range []any{
		&ErrorReport{}, &HealthReport{}, &StatusReport{}, &EventReport{}, &EventPage{}, &FollowedEvent{}, &NodesReport{},
		&PublishRequest{}, &PublishReport{}, &ReplayRequest{}, &ReplayReport{},
		&TargetReport{}, &JournalReport{}, &OutcomeReport{}, &NodeReport{}, &DiskReport{},
		&RecipientsReport{}, &RecipientReport{},
		&DismissRequest{}, &DismissReport{}, &DurableReport{}, &BatchReport{},
		&ClusterReport{},
	} {
		for _, full := range []bool{false, true} {
			v := reflect.ValueOf(m).Elem()
			if full {
				fill(v, "")
			}
			b, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			got.WriteString(v.Type().Name() + " " + string(b) + "\n")
		}
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); diff != "" {
		t.Errorf("the messages (-want +got):\n%s", diff)
	}
}

// fill gives each field a value that is made of the field's name in JSON.
func fill(v reflect.Value, name string) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), name)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Date(2026, 1, 2, 3, 4, len(name), 0, time.UTC)))
			return
		}
		for i := range v.NumField() {
			tag, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			fill(v.Field(i), tag)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes([]byte(name))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), name)
	case reflect.Map:
		e := reflect.New(v.Type().Elem()).Elem()
		fill(e, name)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("key"), e)
	case reflect.String:
		v.SetString(name)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(float64(len(name)) + 0.5)
	case reflect.Int:
		v.SetInt(int64(len(name)))
	case reflect.Uint64:
		v.SetUint(uint64(len(name)))
	}
}
