package meter_test
import ("testing";"os";"strconv";"strings";"time";"math";"github.com/waybill-dev/waybill/plugins/internal/meter")
func TestZZ(t *testing.T){
 raw,_:=os.ReadFile(os.Getenv("ZZ")); if len(raw)==0 {t.Skip("x")}
 s:=strings.Split(string(raw),"\n")[1]; s=strings.TrimSuffix(strings.TrimPrefix(s,"[]byte("),")")
 u,err:=strconv.Unquote(s); if err!=nil{t.Fatal(err)}
 wasm:=[]byte(u); ctx:=t.Context(); r:=fuzzWorld(t,ctx); caps:=wide(); caps.TableEntries=math.MaxInt32
 at:=time.Now(); out,err:=meter.Rewrite(wasm,caps); t.Log("rewrite",time.Since(at),err); if err!=nil{return}
 t.Logf("%x",wasm)
 at=time.Now(); p,err:=compile(ctx,r,wasm); t.Log("plain",time.Since(at),err)
 at=time.Now(); m,err2:=compile(ctx,r,out.WASM); t.Log("metered",time.Since(at),err2)
 if err==nil {at=time.Now(); compare(t,r,p,m); t.Log("compare",time.Since(at))}
}
