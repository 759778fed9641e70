"""The phrases that reviews and messages are put together from, by language, topic and sentiment (-1, 0, 1)."""

OPENERS = {
    "en": {
        1: ("", "I love it.", "Great purchase!", "Very happy with this.", "Exactly what I wanted.", "Wonderful."),
        0: ("", "It is okay.", "Nothing special.", "As described.", "Ordered it last week."),
        -1: ("", "Very disappointed.", "Terrible.", "I regret buying this.", "What a waste of money.",
             "Not good at all."),
    },
    "zh": {
        1: ("", "非常喜欢!", "很满意。", "太棒了!"),
        0: ("", "一般般。", "还可以。"),
        -1: ("", "太失望了。", "很差!", "非常不满意。"),
    },
}  # fmt: skip
SAYINGS = {
    "en": {
        "delivery": {
            1: ("Delivery was fast and the parcel came well packed.", "It arrived a day early, excellent shipping."),
            0: ("Delivery took four days.", "The parcel came with the usual post."),
            -1: ("Delivery was two weeks late and the box was crushed.", "The parcel never arrived, awful shipping."),
        },
        "quality": {
            1: ("The quality is superb and it feels solid.", "Beautifully made, great material."),
            0: ("The quality is average for this kind of thing.", "The material is as in the picture."),
            -1: ("It broke after two days, poor quality.", "The material is cheap and badly made."),
        },
        "price": {
            1: ("A fantastic bargain, great value for the price.", "Worth every cent, and cheaper than elsewhere."),
            0: ("The price is the same as in other shops.", "It costs what such things cost."),
            -1: ("Far too expensive, a rip-off at this price.", "Overpriced, I saw it for half the price."),
        },
        "fit": {
            1: ("The size fits perfectly.", "It fits like a glove, lovely size."),
            0: ("The size runs as in the table.", "I took my usual size."),
            -1: ("The size is wrong and it fits badly.", "Way too tight, the size is useless."),
        },
        "service": {
            1: ("Customer service was friendly and helped at once.", "The support team was amazing."),
            0: ("Customer service answered after a day.", "I asked the support team about it."),
            -1: ("Customer service was rude and no help.", "The support team ignored me, horrible."),
        },
        "refund": {
            1: ("The refund came quickly and without fuss, great.",
                "I returned one and was happily refunded in a day."),
            0: ("The refund is being looked at.", "I sent it back for a refund."),
            -1: ("They refuse to refund me, a disgrace.", "I am still waiting for my refund and angry."),
        },
    },
    "zh": {
        "delivery": {
            1: ("物流很快,包装完好。", "送货速度快,很满意。"), 0: ("物流四天到。", "普通快递送货。"),
            -1: ("物流太慢,包装破了。", "快递一直没到,太差了。"),
        },
        "quality": {
            1: ("质量很好,做工精致。", "质量非常棒。"), 0: ("质量一般。", "材质和图片一样。"),
            -1: ("质量很差,两天就坏了。", "做工粗糙,质量不好。"),
        },
        "price": {
            1: ("价格实惠,性价比高。", "价格便宜,很值。"), 0: ("价格和别家一样。", "价格正常。"),
            -1: ("价格太贵,不值。", "价格虚高,坑人。"),
        },
        "fit": {
            1: ("尺码很合适,很舒服。", "大小正好,喜欢。"), 0: ("尺码和表格一样。", "买的平时的尺码。"),
            -1: ("尺码不对,太紧了,难受。", "大小不合适,很失望。"),
        },
        "service": {
            1: ("客服态度很好,很热情。", "客服服务非常好。"), 0: ("客服一天后回复。", "问了一下客服。"),
            -1: ("客服态度恶劣,很差。", "客服不理人,太糟糕了。"),
        },
        "refund": {
            1: ("退款很快,满意。", "退款很顺利,很好。"), 0: ("正在退款中。", "已经申请退款。"),
            -1: ("不给退款,太差了。", "退款一直没到,很生气。"),
        },
    },
}  # fmt: skip
CLOSERS = {
    "en": {
        1: ("", "Would buy again.", "Highly recommended!", "Five stars.", "My family is delighted."),
        0: ("", "That is all.", "I may look at others.", "Time will tell."),
        -1: ("", "Never again.", "Avoid this.", "I want my money back.", "Awful experience."),
    },
    "zh": {1: ("", "会再买。", "强烈推荐!"), 0: ("", "就这样。"), -1: ("", "不会再买了。", "不推荐。")},
}
REQUESTS = {
    "en": ("Please help me.", "Please fix this soon.", "Who can I talk to?", "I expect an answer today.", "What now?"),
    "zh": ("请尽快处理。", "请帮帮我。", "怎么办?"),
}
SPAM = (
    "Best shop ever!!! Visit my page for more amazing deals, everyone must buy here!!!",
    "Amazing amazing amazing, five stars, buy now, you will not regret it, best product in the world!!!",
    "Perfect product perfect seller perfect price, I bought ten for my friends, top top top!!!",
)
