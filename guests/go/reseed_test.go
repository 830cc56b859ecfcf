package guest

import "testing"

func TestInstancesDiffer(t *testing.T) {
	seen := map[string]bool{}
	for _, salt := range []string{"", "", "one", "two"} {
		instance := newInstance(salt)
		if len(instance) != 32 || seen[instance] {
			t.Errorf("%q of %q", instance, salt)
		}
		seen[instance] = true
	}
	reseed("salt") // as whom it may be: it says nothing
}
