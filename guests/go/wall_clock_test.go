package guest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestAClockThatIsRight(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rtc")
	for _, told := range []string{"", "soon", fmt.Sprintln(time.Now().Unix())} {
		if err := os.WriteFile(path, []byte(told), 0o600); err != nil {
			t.Fatal(err)
		}
		if correctClock(path) || correctClock(path+"none") {
			t.Errorf("set by %q", told)
		}
	}
}
