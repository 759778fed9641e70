"""The categories of the simulated shop, with what things in them are called and cost."""

from jobs.simulation.segments import DEPARTMENTS

# Department → (category, typical price, English words, Chinese words).
CATEGORIES = {
    "kitchen": (
        ("cookware", 35, "frying pan,stock pot,wok,casserole", "炒锅,汤锅"),
        ("appliances", 80, "kettle,toaster,blender,coffee machine", "水壶,咖啡机"),
        ("tableware", 15, "plate set,mug,wine glass,cutlery", "餐具,杯子"),
    ),
    "garden": (
        ("tools", 25, "spade,rake,pruning shears", "铲子,剪刀"),
        ("plants", 12, "rose,lavender,olive tree", "玫瑰,绿植"),
        ("furniture", 120, "garden chair,parasol,bench", "椅子,遮阳伞"),
    ),
    "fashion": (
        ("women", 45, "dress,blouse,skirt,coat", "连衣裙,外套"),
        ("men", 40, "shirt,jeans,jacket", "衬衫,牛仔裤"),
        ("shoes", 65, "sneakers,boots,sandals", "运动鞋,靴子"),
    ),
    "toys": (
        ("games", 28, "board game,puzzle,card game", "桌游,拼图"),
        ("building", 40, "blocks,model kit,train set", "积木,模型"),
        ("soft", 18, "teddy bear,doll,rabbit", "玩偶,小熊"),
    ),
    "electronics": (
        ("audio", 90, "headphones,speaker,earbuds", "耳机,音箱"),
        ("computers", 450, "laptop,monitor,keyboard,mouse", "笔记本电脑,键盘"),
        ("gaming", 60, "controller,console,headset", "手柄,游戏机"),
    ),
    "beauty": (
        ("skin", 22, "face cream,serum,sunscreen", "面霜,防晒霜"),
        ("hair", 14, "shampoo,conditioner,hair dryer", "洗发水,吹风机"),
        ("scent", 55, "perfume,candle,eau de toilette", "香水,蜡烛"),
    ),
    "grocery": (
        ("coffee", 9, "espresso beans,ground coffee,capsules", "咖啡豆,胶囊咖啡"),
        ("sweets", 5, "chocolate,biscuits,gummies", "巧克力,饼干"),
        ("pantry", 7, "olive oil,pasta,rice", "橄榄油,大米"),
    ),
    "sports": (
        ("running", 70, "running shoes,shorts,watch", "跑鞋,手表"),
        ("outdoor", 85, "tent,backpack,sleeping bag", "帐篷,背包"),
        ("fitness", 30, "yoga mat,dumbbells,resistance band", "瑜伽垫,哑铃"),
    ),
}
CATEGORY_NAMES = tuple(f"{name}.{category[0]}" for name in DEPARTMENTS for category in CATEGORIES[name])
CATEGORY_PRICES = tuple(float(category[1]) for name in DEPARTMENTS for category in CATEGORIES[name])
CATEGORY_WORDS = tuple(category[2:] for name in DEPARTMENTS for category in CATEGORIES[name])
