package ops

import (
	"reflect"
	"testing"
	"time"

	"agentctl/handler/delivery"
	"agentctl/handler/journal/disk"
)

// Whatever a status holds is in its report, but for the disk's copy of what the
// journal reports itself.
func TestReportsLeaveNothingOut(t *testing.T) {
	t.Parallel()
	var s delivery.Status
	fill(reflect.ValueOf(&s).Elem())
	report := newTargetReport(&s, 1)
	wantFull(t, "target", reflect.ValueOf(report))
	if want := reflect.TypeOf(s).NumField() + 1; reflect.TypeOf(report).NumField() != want {
		t.Errorf("a target's report has not %d fields", want)
	}
	var d disk.Status
	fill(reflect.ValueOf(&d).Elem())
	disk := newDiskReport(&d)
	wantFull(t, "disk", reflect.ValueOf(*disk))
	if want := reflect.TypeOf(d).NumField() - 2; reflect.TypeOf(*disk).NumField() != want { // Head, Retained
		t.Errorf("a disk's report has not %d fields", want)
	}
}

// fill gives every field a value.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(1, 0)))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int:
		v.SetInt(1)
	case reflect.Uint64:
		v.SetUint(1)
	case reflect.Float64:
		v.SetFloat(1)
	default:
		panic(v.Kind())
	}
}

func wantFull(t *testing.T, path string, v reflect.Value) {
	t.Helper()
	if v.IsZero() {
		t.Errorf("%s is not reported", path)
		return
	}
	if v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[time.Time]() {
		for i := range v.NumField() {
			wantFull(t, path+"."+v.Type().Field(i).Name, v.Field(i))
		}
	}
}
