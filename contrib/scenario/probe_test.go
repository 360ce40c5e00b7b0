package scenario

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"
)

func TestProbe2(t *testing.T) {
	si, _ := strconv.Atoi(os.Getenv("STORY"))
	deed := Deed(os.Getenv("DEED"))
	s := CrashStories[si]
	k := crashWorld(t, s)
	end, all, err := k.Undisturbed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	total := time.Now()
	for i, v := range all {
		if deed != "" {
			v.Deed = deed
		}
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Second)
		n, err := k.Visit(ctx, end, v)
		cancel()
		mark := ""
		if err != nil {
			mark = "ERROR " + err.Error()
		}
		fmt.Printf("## %d %.2fs reached %d  %s %s\n", i, time.Since(start).Seconds(), n, v, mark)
		if err != nil && os.Getenv("GOON") == "" {
			t.FailNow()
		}
	}
	fmt.Println("## total", time.Since(total))
}
